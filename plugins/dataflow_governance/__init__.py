"""Personal data of one person: exported, anonymised, erased, over the relations of the models.

The nodes are ``GDPRComplianceNode``, ``UserDataExportNode`` and ``UserDataAnonymizeNode``.
"""
