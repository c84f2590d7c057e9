-- The fence of version 2, which now also says, to this transaction alone, which fence it has passed:
-- the triggers of a capture let such a transaction write Legacy as it likes. See version 2 for
-- everything else.
create or replace function crossfade_enter(
    fence regclass, wanted_epoch bigint, epoch_lock bigint, key_lock bigint, lock_ms bigint
)
returns void language plpgsql volatile as $fence$
declare
    state bigint;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the fence needs isolation level read committed' using errcode = 'CFF02';
    end if;
    if not pg_try_advisory_xact_lock_shared(epoch_lock) then
        raise exception 'epoch % of % is being closed', wanted_epoch, fence using errcode = 'CFF01';
    end if;
    state := pg_sequence_last_value(fence);
    if (wanted_epoch between state / 2 and (state + 1) / 2) is not true then
        raise exception 'epoch % of % is closed', wanted_epoch, fence using errcode = 'CFF01';
    end if;
    if set_config('crossfade.fence', fence::oid::text, true) is null then
        raise exception 'the fence cannot be named';
    end if;
    if lock_ms is not null and set_config('lock_timeout', lock_ms::text, true) is null then
        raise exception 'no bound on locks';
    end if;
    if key_lock is not null and pg_advisory_xact_lock(key_lock) is null then
        raise exception 'no lock on the key';
    end if;
end
$fence$;
