//! A process that stands still: its view of the stage stays what it was.

use std::pin::Pin;
use std::sync::mpsc;
use std::thread;

use crossfade::{Crossfade, Database, Flags, Migration, Options};
use crossfade_sql::Mechanism;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::scene::Scene;
use crate::support::{Bench, PeopleError};

type Job = Box<dyn FnOnce(&Inside) + Send>;

/// What a process was asked for, once it is done.
type Answer<T> = Pin<Box<dyn Future<Output = T>>>;

/// An application on a thread and runtime of its own. Its background tasks run only while it is
/// [asked](Process::ask) for something, and no change of stage wakes them.
pub(super) struct Process {
    jobs: mpsc::Sender<Job>,
}

/// What the process is made of.
pub(super) struct Inside {
    pub(super) runtime: Runtime,
    pub(super) bench: Bench,
    pub(super) migration: Migration,
    _app: Crossfade,
}

impl Process {
    /// Starts one, which then stands still and hears of nothing by itself.
    pub(super) async fn start(scene: &Scene, flag: bool, options: Options) -> Self {
        Self::start_without(scene, scene.without, flag, options).await
    }

    /// [`start`](Self::start), without another mechanism than the scene's, or with all of them.
    pub(super) async fn start_without(
        scene: &Scene,
        without: Option<Mechanism>,
        flag: bool,
        options: Options,
    ) -> Self {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let url = scene.url.clone();
        let (ready, started) = oneshot::channel();
        thread::spawn(move || {
            let inside = Inside::new(&url, without, flag, options);
            ready.send(()).expect("the test waits");
            for job in inbox {
                job(&inside);
            }
        });
        started.await.expect("starts");
        Self { jobs }
    }

    /// Does something inside the process, beginning at once.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Inside) -> T + Send + 'static,
    ) -> Answer<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |inside: &Inside| drop(answer.send(job(inside))));
        self.jobs.send(job).expect("the process lives");
        Box::pin(async { answered.await.expect("the process answers") })
    }

    /// A read of key 1, of whichever side it is sent to. It begins at once.
    pub(super) fn read(&self) -> Answer<Option<String>> {
        self.ask(|inside| {
            let (legacy, new) = (inside.bench.legacy(), inside.bench.new_side());
            let read = inside.migration.read(&1i64, &1i64, || legacy.get(1), || new.get(1));
            inside.runtime.block_on(read).expect("read")
        })
    }
}

impl Inside {
    fn new(url: &str, without: Option<Mechanism>, flag: bool, options: Options) -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (bench, app) = runtime.block_on(async {
            let db = Database::connect(url).await.expect("opens");
            let db = without.iter().fold(db, |db, mechanism| db.without(*mechanism));
            let db = db.without(Mechanism::Changes);
            let app = Crossfade::builder_on(db.clone())
                .flags(Flags::forced([("read_people_v2", flag)]))
                .options(options)
                .build()
                .await
                .expect("starts");
            (Bench { db }, app)
        });
        let migration = app.migration("people").expect("registered");
        // Takes the lease, which the stories want to be good.
        let nothing = async || Ok::<_, PeopleError>(());
        runtime.block_on(migration.read(&0i64, &0i64, nothing, nothing)).expect("read");
        Self { runtime, bench, migration, _app: app }
    }
}
