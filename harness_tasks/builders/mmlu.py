"""Write the task files of the 57 subjects, in both forms, and the two groups over them.

Run ``python -m harness_tasks.builders.mmlu``.
"""

from __future__ import annotations

from pathlib import Path

SUBJECTS = """
abstract_algebra anatomy astronomy business_ethics clinical_knowledge college_biology
college_chemistry college_computer_science college_mathematics college_medicine college_physics
computer_security conceptual_physics econometrics electrical_engineering elementary_mathematics
formal_logic global_facts high_school_biology high_school_chemistry high_school_computer_science
high_school_european_history high_school_geography high_school_government_and_politics
high_school_macroeconomics high_school_mathematics high_school_microeconomics high_school_physics
high_school_psychology high_school_statistics high_school_us_history high_school_world_history
human_aging human_sexuality international_law jurisprudence logical_fallacies machine_learning
management marketing medical_genetics miscellaneous moral_disputes moral_scenarios nutrition
philosophy prehistory professional_accounting professional_law professional_medicine
professional_psychology public_relations security_studies sociology us_foreign_policy virology
world_religions
""".split()

TASK = """\
task: calib_mmlu_{subject}{form}
include: ../mmlu{form}_template_yaml
dataset_name: {subject}
"""

GROUP = """\
# Every subject counts the same. The ECE of all questions together is another number: see
# calib_mmlu_pooled{form}.
group: calib_mmlu{form}
group_alias: calib_mmlu{form} (mean over {count} subjects)
task:
{tasks}
aggregate_metric_list:
  - {{metric: acc, weight_by_size: false}}
  - {{metric: ece, weight_by_size: false}}
  - {{metric: auroc, weight_by_size: false}}
  - {{metric: brier, weight_by_size: false}}
  - {{metric: answered, weight_by_size: false}}
metadata:
  version: 2.0
"""


def build(folder: Path) -> None:
    """Write all files below `folder`; the same bytes each time."""
    (folder / "subjects").mkdir(exist_ok=True)
    for form in ("", "_mc"):
        for subject in SUBJECTS:
            file = folder / "subjects" / f"calib_mmlu_{subject}{form}.yaml"
            file.write_text(TASK.format(subject=subject, form=form), encoding="utf-8")
        tasks = "\n".join(f"  - calib_mmlu_{subject}{form}" for subject in SUBJECTS)
        group = GROUP.format(form=form, count=len(SUBJECTS), tasks=tasks)
        (folder / f"calib_mmlu{form}.yaml").write_text(group, encoding="utf-8")


if __name__ == "__main__":
    build(Path(__file__).parents[1] / "mmlu")
