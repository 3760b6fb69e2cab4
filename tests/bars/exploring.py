"""A program that knows nothing of the flights' models: it finds them in the database."""

from __future__ import annotations

import json
import sys
from typing import Any

from dataflow_core import DataFlow


def main(url: str, source: str) -> dict[str, Any]:
    """Take the models from the registry or from the tables, and ask them through relations."""
    with DataFlow(url, existing_schema_mode=True) as db:
        if source == "registry":
            found = db.reconstruct_models_from_registry()
        else:
            found = db.register_schema_as_models()
        names = found["generated_nodes"]
        counts = {
            table: db.run_sync(names[table]["count"])["count"]
            for table in ("airlines", "airports", "planes", "weather", "flights")
        }
        flights = names["flights"]
        result: dict[str, Any] = {"counts": counts, "errors": found["errors"]}
        airline = db.run_sync(
            flights["list"], filter={"distance": {"$gt": 2500}}, include=["airline"], limit=5_000
        )["records"]
        result["airlines"] = sorted({row["airline"]["name"] for row in airline})
        result["jetblue"] = db.run_sync(
            flights["count"], filter={"airline.name": "JetBlue Airways"}
        )["count"]
        if source == "registry":
            result |= _over_gaps(db, flights)
        return result


def _over_gaps(db: DataFlow, flights: dict[str, str]) -> dict[str, Any]:
    """What needs the references that no foreign key tells: only the registry has them."""

    def count(**filter: Any) -> int:
        return int(db.run_sync(flights["count"], filter=filter)["count"])

    seats = db.run_sync(
        flights["list"],
        aggregate=[
            {"$lookup": {"relation": "plane"}},
            {"$unwind": "$plane"},
            {"$group": {"_id": "$plane.manufacturer", "seats": {"$sum": "$plane.seats"}}},
        ],
    )["records"]
    return {
        "boeing": count(**{"plane.manufacturer": "BOEING"}),
        "no plane": count(plane=None),
        "old or unknown": count(**{"plane.year": {"$not": {"$gte": 2000}}}),
        "no destination": count(dest_airport=None),
        "seats": {row["_id"]: row["seats"] for row in seats},
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2])))
