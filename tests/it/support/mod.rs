//! What the tests share: fresh databases, a small migration, stage changes, waiting on conditions.

mod apart;
mod bench;
mod cli;
mod database;
mod dropped;
mod far;
mod own_mariadb;
mod people;
mod recorder;
mod replica;
mod traces;
mod waiting;

pub(crate) use apart::Apart;
pub(crate) use bench::{
    Bench, WAIT, compare_chunk, definition, delete, eventually, put, put_in, read_side,
};
pub(crate) use cli::{Answer, Project, binary};
pub(crate) use database::{TestDatabase, engines};
pub(crate) use dropped::{acknowledged, drop_after, dropped_at_every_point, panic_at, panics};
pub(crate) use far::Far;
pub(crate) use own_mariadb::OwnMariadb;
pub(crate) use people::{People, PeopleError, Side};
pub(crate) use recorder::{Labels, Recorded};
pub(crate) use replica::ReplicaServer;
pub(crate) use traces::Traces;
