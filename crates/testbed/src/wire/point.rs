//! The protobuf encoding of points (package `point`).

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PbPoints {
    #[prost(message, repeated, tag = "1")]
    pub(crate) arr: Vec<PbPoint>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PbPoint {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) fields: Vec<PbField>,
    #[prost(int64, tag = "3")]
    pub(crate) time: i64,
    #[prost(message, repeated, tag = "4")]
    pub(crate) warns: Vec<PbWarn>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PbField {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(oneof = "PbValue", tags = "2, 3, 4, 5, 6, 7, 11")]
    pub(crate) val: Option<PbValue>,
    #[prost(bool, tag = "8")]
    pub(crate) is_tag: bool,
    #[prost(int32, tag = "9")]
    pub(crate) r#type: i32,
    #[prost(string, tag = "10")]
    pub(crate) unit: String,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum PbValue {
    #[prost(int64, tag = "2")]
    I(i64),
    #[prost(uint64, tag = "3")]
    U(u64),
    #[prost(double, tag = "4")]
    F(f64),
    #[prost(bool, tag = "5")]
    B(bool),
    #[prost(bytes = "vec", tag = "6")]
    D(Vec<u8>),
    #[prost(message, tag = "7")]
    A(PbAny),
    #[prost(string, tag = "11")]
    S(String),
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PbAny {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PbWarn {
    #[prost(string, tag = "1")]
    pub(crate) r#type: String,
    #[prost(string, tag = "2")]
    pub(crate) msg: String,
}
