"""Rows of published question sets, as they come, made tasks. Which set it is, its columns tell.

    GSM8K   question, answer (ends in `#### 42`)
    AIME    Problem or problem, Answer or answer: an integer
    MATH    problem, solution, answer: LaTeX
    GPQA    Question, Correct Answer, Incorrect Answer 1, 2, 3
    SWE-bench   instance_id, problem_statement, patch, test_patch: see taskfolder.py

Published tests are never trained on: of such a set only rows that say `"split": "train"` may be.
"""

import hashlib
import re
from collections.abc import Mapping
from random import Random
from typing import Any

LETTERS = "ABCD"


def as_task(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A row as the fields of a task; a row that is none of these sets is left as it is."""
    if "prompt" in row:
        return dict(row)

    common = {"source": where, "never": row.get("split") != "train"}
    if "Correct Answer" in row:
        return common | _choice(row)

    question = row.get("question") or row.get("problem") or row.get("Problem")
    answer = row.get("answer") if "answer" in row else row.get("Answer")
    if question is None or answer is None:
        return dict(row)

    text = str(answer)
    if "####" in text:
        return common | {
            "kind": "gsm8k",
            "prompt": question,
            "match": "numeric",
            "answer": text.rpartition("####")[2].strip(),
        }

    if re.fullmatch(r"-?\d+", text.strip()):
        return common | {"kind": "aime", "prompt": question, "match": "numeric", "answer": str(int(text))}

    return common | {"kind": "math", "prompt": question, "match": "math", "answer": text}


def _choice(row: Mapping[str, Any]) -> dict[str, Any]:
    """The four answers in an order that the question itself decides."""
    question = str(row["Question"])
    right = str(row["Correct Answer"])
    answers = [right, *(str(row[f"Incorrect Answer {n}"]) for n in (1, 2, 3))]
    Random(hashlib.sha256(question.encode()).digest()).shuffle(answers)
    listed = "\n".join(f"{letter}) {answer.strip()}" for letter, answer in zip(LETTERS, answers, strict=True))
    prompt = f"{question.strip()}\n\n{listed}\n\nAnswer with the letter."
    return {"kind": "gpqa", "prompt": prompt, "match": "choice", "answer": LETTERS[answers.index(right)]}
