
# What differs for a hot standby. A slot keeps what it has not received, however long it is paused.
prepare() {
    "$@" "$installer" --pgdata="$folder/data" --host=127.0.0.1 --port="$primary" \
        --username=crossfade --checkpoint=fast --wal-method=stream --write-recovery-conf \
        --create-slot --slot="crossfade_$port" --no-sync
}
