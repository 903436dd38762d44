//! The protobuf encoding of points (package `point`).

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct PbPoints {
    #[prost(message, repeated, tag = "1")]
    pub arr: Vec<PbPoint>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PbPoint {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub fields: Vec<PbField>,
    #[prost(int64, tag = "3")]
    pub time: i64,
    #[prost(message, repeated, tag = "4")]
    pub warns: Vec<PbWarn>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PbField {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(oneof = "PbValue", tags = "2, 3, 4, 5, 6, 7, 11")]
    pub val: Option<PbValue>,
    #[prost(bool, tag = "8")]
    pub is_tag: bool,
    #[prost(int32, tag = "9")]
    pub r#type: i32,
    #[prost(string, tag = "10")]
    pub unit: String,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum PbValue {
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
pub struct PbAny {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PbArray {
    #[prost(message, repeated, tag = "1")]
    pub arr: Vec<PbBasic>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PbBasic {
    #[prost(oneof = "PbScalar", tags = "1, 2, 3, 4, 5, 6")]
    pub x: Option<PbScalar>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum PbScalar {
    #[prost(int64, tag = "1")]
    I(i64),
    #[prost(uint64, tag = "2")]
    U(u64),
    #[prost(double, tag = "3")]
    F(f64),
    #[prost(bool, tag = "4")]
    B(bool),
    #[prost(bytes = "vec", tag = "5")]
    D(Vec<u8>),
    #[prost(string, tag = "6")]
    S(String),
}

#[derive(Clone, PartialEq, Message)]
pub struct PbWarn {
    #[prost(string, tag = "1")]
    pub r#type: String,
    #[prost(string, tag = "2")]
    pub msg: String,
}
