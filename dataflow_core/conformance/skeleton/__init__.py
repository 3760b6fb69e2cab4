"""What ``new-dialect`` writes: a package with a dialect that runs the suite at once."""

from dataflow_core.conformance.skeleton.files import package_files
from dataflow_core.conformance.skeleton.names import Base, Names, base_of, names_of

__all__ = ["Base", "Names", "base_of", "names_of", "package_files"]
