# What `keeper.sh` calls to prepare and to run PostgreSQL. Arguments: the words that run a command
# under the server's account.
pid_file=data/postmaster.pid
# Ends every session at once and writes nothing.
signal=QUIT

# A server that is to be crashed writes whole pages, since a kill may come in the middle of one.
pages=${CROSSFADE_SERVER_CRASHES:-${CROSSFADE_PG_FSYNC:-off}}

prepare() {
    "$@" "$installer" --pgdata="$folder/data" --username=crossfade --auth=trust \
        --encoding=UTF8 --locale=C --no-sync
}

serve() {
    exec "$@" "$program" -D "$folder/data" -c listen_addresses=127.0.0.1 -c port="$port" \
        -c unix_socket_directories="$folder" -c max_connections=300 \
        -c fsync="${CROSSFADE_PG_FSYNC:-off}" -c full_page_writes="$pages"
}
