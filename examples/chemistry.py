"""Practice outside of mathematics and code: molar masses and chemical equations, with a verifier of one's own.

journeyman tasks check examples.chemistry:tasks
journeyman rollout examples.chemistry:tasks -n 4
"""

import re
from collections import Counter
from random import Random

from journeyman.training.tasks import Cheat, OracleCall, Task
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import Check, verifier
from journeyman.verifiers.score import Score

MASSES = {"H": 1.008, "C": 12.011, "N": 14.007, "O": 15.999, "Na": 22.990, "S": 32.06, "Cl": 35.45, "Fe": 55.845}
"""Standard atomic weights in g/mol (IUPAC 2021, abridged)."""
FORMULAS = ("H2O", "CO2", "NH3", "CH4", "NaCl", "C6H12O6", "H2SO4", "Fe2O3", "C2H5OH", "Na2CO3", "HNO3", "SO2")
EQUATIONS = {
    "H2 + O2 -> H2O": "2 H2 + O2 -> 2 H2O",
    "CH4 + O2 -> CO2 + H2O": "CH4 + 2 O2 -> CO2 + 2 H2O",
    "Fe + O2 -> Fe2O3": "4 Fe + 3 O2 -> 2 Fe2O3",
    "N2 + H2 -> NH3": "N2 + 3 H2 -> 2 NH3",
    "C2H6 + O2 -> CO2 + H2O": "2 C2H6 + 7 O2 -> 4 CO2 + 6 H2O",
    "Na + Cl2 -> NaCl": "2 Na + Cl2 -> 2 NaCl",
}


@verifier("balanced/1")
def balanced(case: Case, *, equation: str) -> Score:
    """The answer is that equation with coefficients that balance it; any multiple will do."""
    lines = [line for line in (case.answer or "").splitlines() if "->" in line]
    if len(lines) != 1:
        return Score.of(0, f"{len(lines)} equations")

    asked, said = (_sides(each) for each in (equation, lines[0]))
    if [set(side) for side in asked] != [set(side) for side in said]:
        return Score.of(0, f"{lines[0]!r} is another reaction")

    left, right = (_atoms(side) for side in said)
    return Score.of(left == right, f"{dict(left)} against {dict(right)}")


def tasks(seed: int = 1) -> list[Task]:
    random = Random(seed)  # noqa: S311 - drawing questions
    return [*(_mass(formula, random) for formula in FORMULAS), *map(_equation, EQUATIONS)]


def _mass(formula: str, random: Random) -> Task:
    n = random.randint(2, 9)
    atoms = _count(formula)
    expression = f"{n} * ({' + '.join(f'{count} * {MASSES[element]}' for element, count in atoms.items())})"
    grams = n * sum(MASSES[element] * count for element, count in atoms.items())
    return Task(
        kind="molar_mass",
        prompt=f"How many grams do {n} mol of {formula} weigh? Atomic weights are in weights.csv.",
        checks=(Check(verifier="numeric", parameters={"expected": f"{grams:.3f}", "tolerance": 1e-3}),),
        says=f"{grams:.3f} g",
        files={"weights.csv": "".join(f"{element},{mass}\n" for element, mass in MASSES.items())},
        oracle=(
            OracleCall(tool="files__read", arguments={"path": "weights.csv"}),
            OracleCall(tool="calculator__calculate", arguments={"expression": expression}),
        ),
        source="examples/chemistry.py",
    )


def _equation(equation: str) -> Task:
    return Task(
        kind="balance",
        prompt=f"Balance this equation and answer with the equation alone: {equation}",
        checks=(Check(verifier="examples.chemistry:balanced", name="balanced", parameters={"equation": equation}),),
        says=EQUATIONS[equation],
        cheats=(Cheat(answer=f"{EQUATIONS[equation]}\n{equation}"),),
        source="examples/chemistry.py",
    )


def _sides(equation: str) -> list[Counter[str]]:
    """Formula -> coefficient, on each side of the arrow."""
    return [_terms(side) for side in equation.partition("->")[::2]]


def _terms(side: str) -> Counter[str]:
    terms: Counter[str] = Counter()
    for coefficient, formula in re.findall(r"(\d*)\s*((?:[A-Z][a-z]?\d*)+)", side):
        terms[formula] += int(coefficient or 1)

    return terms


def _atoms(side: Counter[str]) -> Counter[str]:
    total: Counter[str] = Counter()
    for formula, coefficient in side.items():
        for element, count in _count(formula).items():
            total[element] += coefficient * count

    return total


def _count(formula: str) -> Counter[str]:
    atoms: Counter[str] = Counter()
    for element, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula):
        atoms[element] += int(count or 1)

    return atoms
