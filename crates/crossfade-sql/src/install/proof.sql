-- What a proof rests on, and what giving rights back needs.

-- What the capture had seen when a verification began; `bypassed` is null where that was not asked.
alter table crossfade_verifications add column bypassed bigint;
alter table crossfade_verifications add column capture text;
alter table crossfade_verify_progress add column bypassed bigint;
alter table crossfade_verify_progress add column capture text;

-- When an instance first held a lease, and when the last time without any ended.
alter table crossfade_migrations add column leased_since_ms bigint;
alter table crossfade_migrations add column lease_gap_ms bigint;

-- The rows of Legacy as they were when `complete` began, by the database's own counters or a count.
alter table crossfade_migrations add column legacy_at_complete text;

-- Statements that give the rights on Legacy back which `contract` has taken away, as a JSON array.
alter table crossfade_migrations add column rights_taken text;
