-- The fence of version 6 in fewer steps: a transaction says which fence it has passed only where a
-- capture asks for that, by a bit of the sequence's value far above every epoch. See version 2 for
-- everything else.
--
-- Each expression is prepared anew in each transaction, so there are few. A `case` looks at its
-- conditions in their order, which `and` does not promise.
create or replace function crossfade_enter(
    fence regclass, wanted_epoch bigint, epoch_lock bigint, key_lock bigint, lock_ms bigint
)
returns void language plpgsql volatile as $fence$
declare
    -- Null where nothing was read.
    state bigint;
begin
    state := case
        when current_setting('transaction_isolation') <> 'read committed' then null
        when not pg_try_advisory_xact_lock_shared(epoch_lock) then null
        else pg_sequence_last_value(fence)
    end;
    if state >= 4611686018427387904 then
        state := state - 4611686018427387904;
        if set_config('crossfade.fence', fence::oid::text, true) is null then
            raise exception 'the fence cannot be named';
        end if;
    end if;
    -- Twice the oldest open epoch, or one more while the next is open too.
    if (abs(2 * wanted_epoch - state) <= 1) is not true then
        if current_setting('transaction_isolation') <> 'read committed' then
            raise exception 'the fence needs isolation level read committed'
                using errcode = 'CFF02';
        end if;
        raise exception 'epoch % of % is closed, or is being closed', wanted_epoch, fence
            using errcode = 'CFF01';
    end if;
    if lock_ms is not null and set_config('lock_timeout', lock_ms::text, true) is null then
        raise exception 'no bound on locks';
    end if;
    if key_lock is not null and pg_advisory_xact_lock(key_lock) is null then
        raise exception 'no lock on the key';
    end if;
end
$fence$;

-- The same to be called by itself: a call is not planned, and answers no row.
do $same$
begin
    execute format(
        'create procedure crossfade_pass(fence regclass, wanted_epoch bigint, epoch_lock bigint, '
        'key_lock bigint, lock_ms bigint) language plpgsql as %L',
        (select prosrc from pg_proc
         where oid = 'crossfade_enter(regclass,bigint,bigint,bigint,bigint)'::regprocedure)
    );
end
$same$;
