//! A start while the source is down, from what was kept on disk.

use std::{fs, time::Instant};

use crossfade::flags::{FileSource, Flags, State};

use crate::{Spread, document::flagd};

const STARTS: usize = 500;

pub(crate) async fn persisted() {
    let folder = tempfile::tempdir().expect("a folder");
    let [path, kept] = ["flags.json", "kept"].map(|name| folder.path().join(name));
    fs::write(&path, flagd(1000)).expect("written");
    let start =
        async || Flags::builder().source(FileSource::new(&path)).persist_to(&kept).start().await;
    start().await.shut_down().await;
    fs::remove_file(&path).expect("removed");
    let mut spread = Spread::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let flags = start().await;
        spread.add(begun.elapsed());
        assert_eq!(flags.status().state(), State::Persisted);
        flags.shut_down().await;
    }
    spread.print("start without the source, 1 000 flags");
}
