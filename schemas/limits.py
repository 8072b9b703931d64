"""Bounds of one event and of one context, each with its unit. Past an event's bound it goes to `dead`."""

from typing import Final

# One event. The record limit leaves room for our own attributes under Kafka's default of 1 MiB a record.
EVENT_SIZE_BYTES_MAX: Final = 256 * 1024
ID_LENGTH_MAX: Final = 256
SOURCE_LENGTH_MAX: Final = 256
# Id and source each, as UTF-8: every register of a fragment keeps both, and a fragment has to fit into a record.
NAME_SIZE_BYTES_MAX: Final = 512
TYPE_LENGTH_MAX: Final = 128
# The longest RFC 3339 time has 35 characters: nine digits of the second and an offset.
TIME_LENGTH_MAX: Final = 64
IDENTIFIER_LENGTH_MAX: Final = 256
# Evidence is every pair of them: 16 give 120 pairs, which is the most that one event may cost identity.
IDENTIFIERS_MAX: Final = 16
NESTING_DEPTH_MAX: Final = 16
TRAITS_MAX: Final = 64
TRAIT_NAME_LENGTH_MAX: Final = 64
TRAIT_SIZE_BYTES_MAX: Final = 1024
REFS_MAX: Final = 16
REF_FIELD_LENGTH_MAX: Final = 256
GROUPS_MAX: Final = 16
PERMISSIONS_MAX: Final = 32
# A line for people; longer ones are cut in the context, the event keeps the whole.
SUMMARY_LENGTH_MAX: Final = 280
SESSION_LENGTH_MAX: Final = 256
# What enrichers found out. Without what `data` has anyhow (the originals) it stays below, whatever is sent.
ENRICHED_SIZE_BYTES_MAX: Final = 8 * 1024
# A cleaned event on its way. Numbers may be written longer than they came (1e15), and what is said twice takes its room
# twice. The rest of what a record takes is for attributes, which an interaction's JSON may write longer.
ROUTED_SIZE_BYTES_MAX: Final = 1_000_000
# Clocks of producers run ahead by seconds or minutes; by more, the time is wrong and would win every register.
FUTURE_TOLERANCE_SECONDS: Final = 300

# One fragment and one context. What each bound keeps is said in docs/context.md; all are order-free.
CONTEXT_TRAITS_MAX: Final = 128
CONTEXT_TYPES_MAX: Final = 64
CONTEXT_DAYS_MAX: Final = 32
CONTEXT_REFS_MAX: Final = 20
CONTEXT_GROUPS_MAX: Final = 16
CONTEXT_PERMISSIONS_MAX: Final = 64
CONTEXT_RECENT_MAX: Final = 10

# Dedupe rows are split by hash prefix before they pass this size.
DEDUPE_ROW_SIZE_BYTES_MAX: Final = 4096
# An event whose time collect assigned may come again with a later one; its copies are looked up this far back.
ASSIGNED_TIME_HORIZON_DAYS: Final = 2
# Candidates that a shared identifier names.
CANDIDATES_MAX: Final = 5
