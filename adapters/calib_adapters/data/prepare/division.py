"""Division of rows into train, validation, calibration and test splits.

A data set's own splits are kept. Roles that have none share the rows of one split, by a hash of
the seed and the row's subject: the same question lands in the same role whatever else is prepared
with it, in whichever form it is asked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from calib_adapters.data.prepare.row import ROLES, Row, Source

Plan = dict[str, tuple[str, ...]]  # the roles that share each split of the data set


def plan_splits(
    source: Source, wanted: Mapping[str, str], shares: Mapping[str, float], redivide: bool
) -> Plan:
    """Which roles take their rows from which split of the data set.

    Args:
        source: the data set.
        wanted: the split for a role, where it is not the data set's own.
        shares: of the roles; a role with a share and without a split is cut out of another's.
        redivide: if the task names a split that it is scored on, divide that one and use no other.

    Returns:
        The roles by split. Roles without a split of their own share the training split; without
        one, training too is cut out of the scored split.

    Raises:
        ValueError: a split that does not exist, or training on test rows.
    """
    for role, split in wanted.items():
        if split not in source.available:
            raise ValueError(
                f"{source.name} has no split {split!r} to take the role {role} from, only "
                f"{', '.join(source.available)}."
            )
        if role != "test" and (split == source.scored or split.startswith("test")):
            raise ValueError(
                f"{source.name} is scored on the split {split!r}: with its rows in the role "
                f"{role}, every later score would be void. Name another split, or leave it out "
                f"and add --redivide, which keeps a part of these rows for the test."
            )
    taken = set(wanted.values())
    own = {role: split for role, split in source.own.items() if split not in taken} | dict(wanted)
    if redivide and source.scored is not None:
        own = {}
    missing = [role for role in ROLES if role in shares and role not in own]
    whole = own.get("train") or source.scored or source.available[0]
    plan: dict[str, list[str]] = {}
    for role, split in own.items():
        plan.setdefault(split, []).append(role)
    plan.setdefault(whole, []).extend(missing)
    scored = set(plan.get(source.scored, ()))
    if scored - {"test"} and not {"test"} <= scored & shares.keys():
        raise ValueError(
            f"{source.name} has no training rows but those of the split {whole!r}, which it is "
            f"scored on; let the test be a part of it, with a share in --shares, so that some of "
            f"its rows stay unseen."
        )
    return {split: tuple(sorted(roles, key=ROLES.index)) for split, roles in plan.items()}


def divide(
    rows: Sequence[Row], roles: Sequence[str], shares: Mapping[str, float], seed: int
) -> dict[str, list[Row]]:
    """Give each row to one of `roles`, with a chance proportional to their shares.

    The place of a row in [0, 1) is the first eight bytes of sha256("SEED|SUBJECT"). So sizes are
    near the shares, not equal to them, and rows that are added later move no other.
    """
    if len(roles) == 1:
        return {roles[0]: list(rows)}
    total = sum(shares[role] for role in roles)
    divided: dict[str, list[Row]] = {role: [] for role in roles}
    for row in rows:
        place, reached = hash_share(row.subject, seed) * total, 0.0
        for role in roles:
            reached += shares[role]
            if place < reached:
                break
        divided[role].append(row)  # the last role also takes what rounding leaves
    return divided


def hash_share(subject: str, seed: int) -> float:
    """A number in [0, 1), the same for the same subject and seed."""
    digest = hashlib.sha256(f"{seed}|{subject}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def limit(rows: Sequence[Row], size: int | None, seed: int) -> list[Row]:
    """At most `size` rows, those with the lowest hash, in their old order."""
    if size is None or len(rows) <= size:
        return list(rows)
    # Not the hash of the division: within a role its values are those of one stretch only.
    ranked = sorted(rows, key=lambda row: hash_share(f"{row.subject}|{row.content}", seed + 1))
    chosen = {id(row) for row in ranked[:size]}
    return [row for row in rows if id(row) in chosen]


def leave_out_repeats(
    splits: Mapping[str, Mapping[str, list[Row]]],
) -> tuple[dict[str, dict[str, list[Row]]], dict[str, Counter]]:
    """Remove duplicates within a split, and rows that a later split has too.

    The test split stays whole, so that its scores can be compared; then come calibration and
    validation, and training gives way to all of them. What is "in common" is the subject, across
    all sources: the same question in another form is not a new question.

    Args:
        splits: rows by role and source.

    Returns:
        The same without them, and by source how many rows each role lost, and why.
    """
    kept: dict[str, dict[str, list[Row]]] = {}
    lost: dict[str, Counter] = {}
    later: dict[str, str] = {}  # subject -> the role that already has it
    for role in [role for role in reversed(ROLES) if role in splits]:
        kept[role], seen = {}, set()
        for name, rows in splits[role].items():
            kept[role][name] = []
            for row in rows:
                other = later.get(row.subject)
                if other is not None:
                    reason = f"{role}: question is also in {other}"
                elif role != "test" and (row.content in seen):
                    reason = f"{role}: same as an earlier row"
                else:
                    kept[role][name].append(row)
                    seen.add(row.content)
                    continue
                lost.setdefault(name, Counter())[reason] += 1
        for rows in kept[role].values():
            later.update((row.subject, role) for row in rows)
    return {role: kept[role] for role in ROLES if role in kept}, lost
