-- The fence on MariaDB by the statements that writers use anyway: the server has no `select` to resolve,
-- plan and run, whose code is otherwise cold in the processor's caches.

-- Enters an epoch and locks a key, if one is given, within a transaction.
--
-- An insert that meets a row locks it shared and fails, and it sees what is committed, whatever the
-- snapshot: lock and check are one statement. It does not wait for somebody who holds the row alone, as
-- a closer does, or for one whom a closer waits for: a writer with an old epoch would otherwise queue
-- behind the closer and hold up those behind it. The row of a closed epoch, which it makes, is taken
-- away again, since a transaction that the application began may go on.
create or replace procedure crossfade_pass(in open_epoch bigint, in key_lock int)
sql security invoker
begin
    begin
        declare exit handler for 1062 begin end;
        declare exit handler for 1205
            signal sqlstate 'CFF01' set message_text = 'the epoch is being closed';
        set statement innodb_lock_wait_timeout = 0 for
            insert into crossfade_open_epochs (id, migration, epoch) values (open_epoch, '', 0);
        delete from crossfade_open_epochs where id = open_epoch;
        signal sqlstate 'CFF01' set message_text = 'the epoch is closed';
    end;
    if key_lock is not null then
        -- Locks the row, and changes nothing.
        insert into crossfade_key_locks (number) values (key_lock)
            on duplicate key update number = number;
    end if;
end;

-- Begins a transaction, and does the same in it. See `mariadb.rs` for autocommit and the savepoint.
create or replace procedure crossfade_begin(
    in migration varchar(63) character set utf8mb4, in open_epoch bigint, in key_lock int
)
sql security invoker
begin
    set autocommit = 0, @crossfade_fence = migration;
    set transaction isolation level read committed;
    savepoint crossfade_transaction;
    begin
        declare exit handler for 1062 begin end;
        declare exit handler for 1205
            signal sqlstate 'CFF01' set message_text = 'the epoch is being closed';
        set statement innodb_lock_wait_timeout = 0 for
            insert into crossfade_open_epochs (id, migration, epoch) values (open_epoch, '', 0);
        delete from crossfade_open_epochs where id = open_epoch;
        signal sqlstate 'CFF01' set message_text = 'the epoch is closed';
    end;
    insert into crossfade_key_locks (number) values (key_lock)
        on duplicate key update number = number;
end
