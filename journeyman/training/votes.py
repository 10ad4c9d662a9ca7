"""Self-consistency (arXiv 2203.11171) read off recorded attempts: is the answer that most of them give right."""

from collections import Counter, defaultdict

from sqlalchemy import select

from journeyman.traces.project import refresh
from journeyman.traces.schema import run
from journeyman.traces.store import Store


def voted(store: Store, batch: str) -> float:
    """Share of the tasks whose most frequent answer was judged right; the earliest of equally frequent ones.

    Raises:
        StoreError: the store cannot be read.
    """
    refresh(store)
    wanted = select(run.c.task, run.c.answer, run.c.reward).where(run.c.batch == batch, run.c.reward.is_not(None))
    with store.reading() as connection:
        rows = connection.execute(wanted.order_by(run.c.started_at)).all()

    answers: dict[str, Counter[str]] = defaultdict(Counter)
    worth: dict[tuple[str, str], float] = {}
    for task, answer, reward in rows:
        said = (answer or "").strip()
        answers[task][said] += 1
        worth[task, said] = max(worth.get((task, said), 0.0), reward)

    won = [worth[task, of.most_common(1)[0][0]] == 1 for task, of in answers.items()]
    return sum(won) / max(len(won), 1)
