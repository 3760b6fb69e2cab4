"""Durable sagas for DataFlow: steps that are all done, or undone by their compensations.

The node is ``TransactionManagerNode``; these functions carry on what a crash has left.
"""

from dataflow_sagas.recovery import list_sagas, resume, run_worker

__all__ = ["list_sagas", "resume", "run_worker"]
