# What `keeper.sh` calls to prepare and to run MariaDB. Arguments: the words that run a command
# under the server's account. No configuration file of the machine's is read. With a binary log, which
# a replica follows.
pid_file=data/mariadbd.pid
# Nothing in the folder is kept, and a shutdown would write all of it first.
signal=KILL

case ${CROSSFADE_MARIADB_FSYNC:-off}${CROSSFADE_SERVER_CRASHES:-} in
    on*) durability='--innodb-flush-log-at-trx-commit=1' ;;
    # Commits outlive the server's processes, though not the machine.
    offon) durability='--innodb-flush-log-at-trx-commit=2 --innodb-flush-method=nosync' ;;
    *) durability='--innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --innodb-doublewrite=0' ;;
esac
role='--server-id=1 --log-bin=binlog'

# A server that starts deletes what others have left of temporary tables, or still use.
prepare() {
    install_data "$@"
}

install_data() {
    "$@" mkdir "$folder/tmp" || return
    # shellcheck disable=SC2086 # words
    "$@" "$installer" --no-defaults --datadir="$folder/data" --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=normal --tmpdir="$folder/tmp" --innodb-buffer-pool-size=64M $durability
}

serve() {
    # shellcheck disable=SC2086 # words
    exec "$@" "$program" --no-defaults --datadir="$folder/data" --tmpdir="$folder/tmp" --pid-file="$folder/$pid_file" \
        --socket="$folder/socket" --bind-address=127.0.0.1 --port="$port" --skip-name-resolve \
        --max-connections=300 --performance-schema=OFF --innodb-buffer-pool-size=64M \
        --innodb-log-file-size=64M --character-set-server=utf8mb4 \
        --collation-server=utf8mb4_general_ci $durability $role
}
