-- The fence on MariaDB in one statement: a client hears of each statement by itself, and a text is
-- parsed anew each time.

-- The epochs that are open, by their numbers of `epoch_lock_id`: a row is found by a number in half
-- the time of a text. `init` makes the rows of epochs that were opened before.
create table if not exists crossfade_open_epochs (
    id bigint primary key,
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    epoch bigint not null
) engine = InnoDB;

-- Enters an epoch and locks a key, if one is given, within a transaction.
--
-- A locking read sees what is committed, whatever the snapshot, so one statement is lock and check. It
-- passes over a row that somebody holds alone, as a closer does, and one that a closer waits for: a
-- writer with an old epoch would otherwise queue behind the closer and hold up those behind it.
create or replace procedure crossfade_pass(in open_epoch bigint, in key_lock int)
sql security invoker
begin
    declare found int default 0;
    select 1 into found from crossfade_open_epochs where id = open_epoch
        lock in share mode skip locked;
    if found = 0 then
        signal sqlstate 'CFF01' set message_text = 'the epoch is closed, or is being closed';
    end if;
    if key_lock is not null then
        select 1 into found from crossfade_key_locks where number = key_lock for update;
    end if;
end;

-- Begins a transaction, and does the same in it. See `mariadb.rs` for autocommit and the savepoint.
create or replace procedure crossfade_begin(
    in migration varchar(63) character set utf8mb4, in open_epoch bigint, in key_lock int
)
sql security invoker
begin
    declare found int default 0;
    set autocommit = 0, @crossfade_fence = migration;
    set transaction isolation level read committed;
    savepoint crossfade_transaction;
    select 1 into found from crossfade_open_epochs where id = open_epoch
        lock in share mode skip locked;
    if found = 0 then
        signal sqlstate 'CFF01' set message_text = 'the epoch is closed, or is being closed';
    end if;
    select 1 into found from crossfade_key_locks where number = key_lock for update;
end;

-- Commits; fails where the transaction is another than the one that was begun.
create or replace procedure crossfade_commit()
sql security invoker
begin
    release savepoint crossfade_transaction;
    commit;
    set autocommit = 1, @crossfade_fence = null;
end
