"""The conformance suite: what a dialect declares, checked against a real database.

``python -m dataflow_core.conformance URL`` runs it and prints a table by feature.
"""

from dataflow_core.conformance.outcome import CaseResult, Claim, Observation, Outcome
from dataflow_core.conformance.random_operations import Difference, run_random_operations
from dataflow_core.conformance.registry import Case, all_cases, case
from dataflow_core.conformance.report import Report, Versions
from dataflow_core.conformance.runner import SUITE, run, run_case
from dataflow_core.conformance.session import CaseFailed, Session

__all__ = [
    "SUITE",
    "Case",
    "CaseFailed",
    "CaseResult",
    "Claim",
    "Difference",
    "Observation",
    "Outcome",
    "Report",
    "Session",
    "Versions",
    "all_cases",
    "case",
    "run",
    "run_case",
    "run_random_operations",
]
