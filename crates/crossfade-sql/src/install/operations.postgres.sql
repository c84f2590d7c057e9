-- The fence of a write that is carried out at most once: enters the epoch, then records the operation
-- in the write's own transaction. The insert waits for a transaction of the same operation that is
-- still open, so that its end decides.
--
-- Texts come as hexadecimal digits, since they are part of the statement and may hold anything.
create function crossfade_enter_once(
    fence regclass, wanted_epoch bigint, epoch_lock bigint, key_lock bigint, lock_ms bigint,
    of_migration text, operation_hex text, key_hex text, this_attempt bigint
)
returns void language plpgsql volatile as $fence$
begin
    perform crossfade_enter(fence, wanted_epoch, epoch_lock, key_lock, lock_ms);
    insert into crossfade_operations (migration, operation, key, attempt, created_ms)
    values (
        of_migration,
        convert_from(decode(operation_hex, 'hex'), 'UTF8'),
        convert_from(decode(key_hex, 'hex'), 'UTF8'),
        this_attempt,
        (extract(epoch from clock_timestamp()) * 1000)::bigint
    )
    on conflict do nothing;
    if not found then
        raise exception 'the operation was carried out before' using errcode = 'CFF03';
    end if;
end
$fence$;
