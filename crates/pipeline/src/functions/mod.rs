//! The functions of the language: one file each, one list of them all.
//!
//! A file `functions/NAME.rs` holds everything about a function: its `FunctionSpec` (signature,
//! documentation, examples that are executed as tests), the check hook that compiles literals once
//! per call site, the code, and its tests. Adding a function means writing that file and adding a
//! line to the list below.

mod contract;
mod reference;

pub(crate) use contract::CallAst;
pub(crate) use contract::CheckContext;
pub(crate) use contract::CheckError;
pub(crate) use contract::DefaultValue;
pub(crate) use contract::Example;
pub(crate) use contract::FunctionCategory;
pub(crate) use contract::FunctionSpec;
pub(crate) use contract::Param;
pub(crate) use contract::ParamKind;
pub use contract::{Effects, prepare};
pub(crate) use reference::describe_kind;
pub(crate) use reference::signature;
pub use reference::terminal;

/// Declares the modules of the functions and the list of their specifications.
macro_rules! functions {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*

        /// Every function, sorted by name.
        pub const ALL: &[&FunctionSpec] = &[$(&$name::SPEC),*];
    };
}

functions! {
    add_key,
    add_pattern,
    adjust_timezone,
    agg_create,
    agg_metric,
    append,
    b64dec,
    b64enc,
    cache_get,
    cache_set,
    cast,
    cidr,
    conv_traceid_w3c_to_dd,
    cover,
    create_point,
    datetime,
    decode,
    default_time,
    default_time_with_fmt,
    delete,
    drop,
    drop_key,
    drop_origin_data,
    duration_precision,
    exit,
    format_int,
    geoip,
    get_key,
    gjson,
    grok,
    group_between,
    group_in,
    hash,
    http_request,
    json,
    json_all,
    kv_split,
    len,
    load_json,
    lowercase,
    match_text,
    mquery_refer_table,
    nullif,
    parse_date,
    parse_duration,
    parse_int,
    point_window,
    pt_kvs_del,
    pt_kvs_get,
    pt_kvs_keys,
    pt_kvs_set,
    pt_name,
    query_refer_table,
    rename,
    replace,
    sample,
    set_measurement,
    set_tag,
    setopt,
    slice_string,
    sql_cover,
    strfmt,
    strlen,
    timestamp,
    trim,
    uppercase,
    url_decode,
    url_parse,
    use_script,
    user_agent,
    vaild_json,
    valid_json,
    value_type,
    window_hit,
    xml,
}

/// The function of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static FunctionSpec> {
    ALL.binary_search_by(|spec| spec.name.cmp(name))
        .ok()
        .and_then(|at| ALL.get(at).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_complete_in_words() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
        for spec in ALL {
            assert!(
                !spec.summary.is_empty() && !spec.summary.ends_with('.'),
                "{}",
                spec.name
            );
            assert!(!spec.examples.is_empty(), "{} has no example", spec.name);
            for (at, param) in spec.params.iter().enumerate() {
                assert!(!param.doc.is_empty(), "{}: {}", spec.name, param.name);
                assert!(!param.rest || at + 1 == spec.params.len(), "{}", spec.name);
            }
        }
    }
}
