"""Uploading a finished output folder to the Hugging Face Hub."""

from __future__ import annotations

import json
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalTokenNotFoundError
from huggingface_hub.utils import validate_repo_id
from peft.utils import CONFIG_NAME

from calib_adapters.training.base_model import published_name

BASE = "base_model_name_or_path"
UNREACHED = (HTTPError, OSError)  # HTTPError: of the HTTP library below huggingface_hub


def check_hub(repo: str) -> None:
    """Check before training, not after it, that the Hub knows the user.

    Raises:
        ValueError: `repo` is not a valid repository name, or the Hub accepts no token.
        OSError: the Hub cannot be reached.
    """
    validate_repo_id(repo)
    try:
        HfApi().whoami()
    except (LocalTokenNotFoundError, HfHubHTTPError) as error:
        raise ValueError(
            f"--push_to_hub {repo}: the Hub does not know who you are; log in with `hf auth login` "
            f"or set HF_TOKEN. ({str(error).splitlines()[0]})"
        ) from None
    except UNREACHED as error:
        raise OSError(
            f"--push_to_hub {repo}: the Hub cannot be reached ({error}). Train without this "
            "option now; the same command with it, run later, only uploads."
        ) from None


def push(folder: Path, repo: str) -> str:
    """Upload `folder` to the model repository `repo`, which is created, as private, if missing.

    Its adapter_config.json names the base model by `published_name`, not by a path of this machine.

    Returns:
        Its address.

    Raises:
        RuntimeError: the upload failed; the folder is complete, so the upload can be repeated.
    """
    api = HfApi()
    try:
        api.create_repo(repo, private=True, exist_ok=True)
        api.create_commit(repo, _files(folder), commit_message="Upload by calibench")
    except UNREACHED as error:
        raise RuntimeError(
            f"{folder} is finished, but could not be uploaded to {repo}: {error} Run the same "
            "command again to repeat only the upload."
        ) from error
    return f"{api.endpoint}/{repo}"


def _files(folder: Path) -> list[CommitOperationAdd]:
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        content: str | bytes = str(path)
        if path.name == CONFIG_NAME:
            config = json.loads(path.read_text(encoding="utf-8"))
            config[BASE] = published_name(config[BASE])
            content = json.dumps(config, indent=2, sort_keys=True).encode()
        found.append(CommitOperationAdd(name, content))
    return found
