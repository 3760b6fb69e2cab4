"""What a dialect may offer: feature ids, and the level at which a dialect declares each.

A dialect declares *every* id. There are no defaults: an id that it does not mention is UNDECLARED,
which the conformance suite reports as a failure and the core treats as a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from attrs import frozen

__all__ = ["FEATURES", "Feature", "FeatureInfo", "Level", "Tier", "Version", "features_of"]

Level = Literal["full", "not_implemented", "unsupported"]
"""``full`` works; ``not_implemented`` could be built; ``unsupported`` the engine cannot do."""

Tier = Literal["core", "standard", "extended"]

Version = tuple[int, ...]
"""The version of a server."""


@frozen
class Feature:
    """A dialect's word about one feature id.

    ``reason`` says why a level below ``full`` holds. ``server`` narrows ``full`` to the versions
    of the server for which it is true.
    """

    level: Level
    reason: str = ""
    server: Callable[[Version], bool] | None = None

    def holds(self, version: Version | None) -> bool:
        """Whether the feature is there on a server of this version (``None``: not known yet)."""
        if self.level != "full":
            return False
        return self.server is None or version is None or self.server(version)


@frozen
class FeatureInfo:
    """What a feature id means, and the tier of dialects that must have it."""

    id: str
    tier: Tier
    description: str


_TABLE: Final = """
types.integer            core      whole numbers of 64 and of 32 bits, refused beyond
types.float              core      double-precision numbers
types.decimal            core      exact decimal numbers
types.decimal.wide       standard  exact decimal numbers of 19 to 38 digits
types.boolean            core      True and False, never 0 and 1
types.text               core      Unicode text, compared by code point
types.binary             core      bytes
types.timestamp          core      instants in microseconds, in UTC
types.date               core      days
types.time               core      times of day in microseconds
types.uuid               core      UUIDs
types.json               core      JSON documents and lists
types.enum               core      closed sets of values
filters.comparison       core      $eq $ne $gt $gte $lt $lte, null as an absent field
filters.membership       core      $in $nin
filters.logic            core      $and $or $nor $not
filters.null             core      $exists, $null, $type
filters.text             core      $startswith $endswith $contains $like, with i-variants
filters.regex            core      $regex over the portable subset, $options i
filters.modulo           standard  $mod
filters.bits             standard  $bitsAllSet and its kin
filters.expression       standard  $expr
filters.json.path        core      dotted paths into JSON documents
filters.json.array       core      $all $elemMatch $size $contains on JSON arrays
order.null_first         core      null first ascending, last descending
paging                   core      limit, offset, cursor; repeatable pages
select.distinct          core      distinct rows of chosen fields
updates.arithmetic       core      $inc $mul $min $max, null as MongoDB does
updates.set              core      plain fields, $set, $unset, $currentDate, $rename
updates.bits             standard  $bit
updates.expression       standard  values computed from the old row
updates.json             core      $push $addToSet $pull $pullAll $pop, dotted $set
aggregate.group          core      $group with $sum $avg $min $max $count
aggregate.first_last     standard  $first and $last
aggregate.collect        standard  $push and $addToSet
aggregate.statistics     standard  $stdDevPop $stdDevSamp $median
aggregate.stages         core      $match $sort $limit $skip $project $count
aggregate.more_stages    standard  $addFields $unset $sortByCount $bucket $sample
aggregate.facet          standard  $facet
aggregate.union          standard  $unionWith
aggregate.lookup         standard  $lookup
relations                standard  include, and filters through relations
schema.introspection     standard  tables, columns, keys, indexes and checks as they are
schema.alter             standard  tables changed in steps to what their models say
schema.partial_index     extended  indexes, not unique, of the rows that pass a filter
schema.partial_unique    extended  values that are unique among the rows that pass a filter
schema.partitions        extended  tables in parts by the hash of a column
schema.row_security      extended  rows of tenants kept apart by the database itself
expressions.arithmetic   standard  $add $subtract $multiply $divide $mod $abs $ceil $floor
expressions.text         standard  $concat $toLower $toUpper $substrCP $strLenCP
expressions.logic        standard  $cond $ifNull $switch, comparisons, $and $or $not
expressions.date         standard  $year $month $dayOfMonth $hour $dateTrunc
write.generated_key      core      keys made by the database or the client
write.bulk_create        core      many rows in one call, all or nothing
write.bulk_conflict      core      conflict="skip" and conflict="update"
write.bulk_update        core      many rows by filter or by key
write.bulk_delete        core      many rows by filter or by key
write.upsert             core      insert or update by a unique key
constraints.errors       core      violations of constraints as typed errors
constraints.foreign_key  core      foreign keys and their actions
constraints.check        core      checks of a model
transactions             core      all or nothing over several operations
transactions.savepoint   core      nested transactions
transactions.two_phase   extended  transactions prepared under a name, ended by any connection
cancellation             core      cancelled and timed-out statements stop and leave no trace
concurrency              core      many tasks at once over few connections
identifiers              core      any name, always quoted, never injected
limits                   core      limits refused before any SQL
connection.memory        extended  a database in memory, private to the instance
connection.read_replica  extended  reads sent to a replica
connection.tls           extended  encrypted connections
"""


def _read(table: str) -> dict[str, FeatureInfo]:
    infos = {}
    for line in table.strip().splitlines():
        identifier, tier, description = line.split(None, 2)
        infos[identifier] = FeatureInfo(identifier, tier, description)  # type: ignore[arg-type]
    return infos


FEATURES: Final[dict[str, FeatureInfo]] = _read(_TABLE)
"""Every feature id, in the order of the reports."""


def features_of(tier: Tier) -> tuple[str, ...]:
    """The ids of a tier."""
    return tuple(info.id for info in FEATURES.values() if info.tier == tier)
