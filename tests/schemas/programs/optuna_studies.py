"""Optuna's storage: studies, trials in every state, their parameters and values."""

from __future__ import annotations

import random
import sys

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "x": FloatDistribution(-1e6, 1e6),
    "rate": FloatDistribution(1e-12, 1.0, log=True),
    "layers": IntDistribution(1, 8),
    "kind": CategoricalDistribution(("adam", "sgd", None, 1, True)),
}


def main(url: str) -> None:
    """Make the tables and rows."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    scheme, rest = url.split("://", 1)
    storage = optuna.storages.RDBStorage(f"{DRIVERS.get(scheme, scheme)}://{rest}")
    chance = random.Random(1)
    for number in range(3):
        study = optuna.create_study(
            storage=storage,
            study_name=f"study {number} – é",
            directions=["minimize", "maximize"] if number == 2 else ["minimize"],
        )
        study.set_user_attr("machine", {"cores": 2, "tags": ["a", None, 0.5]})
        for trial in range(20):
            state = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)[trial % 3]
            values = [chance.uniform(-1, 1) * 10**trial for _ in study.directions]
            if number == 0 and trial == 3:
                values = [float("inf")]
            study.add_trial(
                create_trial(
                    state=state,
                    values=values if state == TrialState.COMPLETE else None,
                    params={
                        "x": chance.uniform(-1e6, 1e6),
                        "rate": 10 ** chance.uniform(-12, 0),
                        "layers": chance.randint(1, 8),
                        "kind": chance.choice(["adam", "sgd", None, 1, True]),
                    },
                    distributions=DISTRIBUTIONS,
                    user_attrs={"note": f"trial {trial}"},
                    intermediate_values={0: 0.1, 1: float("nan"), 2: -0.0} if number < 2 else None,
                )
            )
        study.ask()
        study.enqueue_trial({"x": 0.0})
        storage.record_heartbeat(study.trials[0]._trial_id)


if __name__ == "__main__":
    main(sys.argv[1])
