//! The messages of `flagd.sync.v1`, as far as they are used here. Unknown fields are passed over.

/// Asks for the flags, and for word of each change.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SyncFlagsRequest {
    /// Who asks.
    #[prost(string, tag = "1")]
    pub(crate) provider_id: String,
    /// Which flags.
    #[prost(string, tag = "2")]
    pub(crate) selector: String,
}

/// All flags that were asked for.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SyncFlagsResponse {
    /// A document in flagd's definition format.
    #[prost(string, tag = "1")]
    pub(crate) flag_configuration: String,
}
