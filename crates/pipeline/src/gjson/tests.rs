//! Paths and modifiers, and the faults they name.

use super::*;

fn get<'j>(json: &'j str, path: &str) -> Found<'j> {
    super::get(json, path, &Meter::unbounded(), usize::MAX)
}

const TEXT: &str = r#"{"name":{"first":"Tom","last":"Anderson"},"age":37,"children":["Sara","Alex","Jack"],"fav.movie":"Deer Hunter","friends":[{"first":"Dale","last":"Murphy","age":44,"nets":["ig","fb","tw"]},{"first":"Roger","last":"Craig","age":68,"nets":["fb","tw"]},{"first":"Jane","last":"Murphy","age":47,"nets":["ig","tw"]}],"n":null}"#;

#[test]
fn paths_lead_where_the_language_says() {
    for (path, want) in [
        ("name.last", Some("\"Anderson\"")),
        ("age", Some("37")),
        ("children", Some(r#"["Sara","Alex","Jack"]"#)),
        ("children.#", Some("3")),
        ("children.1", Some("\"Alex\"")),
        ("children.-1", None),
        ("child*.2", Some("\"Jack\"")),
        ("c?ildren.0", Some("\"Sara\"")),
        (r"fav\.movie", Some("\"Deer Hunter\"")),
        ("friends.#.first", Some(r#"["Dale","Roger","Jane"]"#)),
        ("friends.1.last", Some("\"Craig\"")),
        (r#"friends.#(last=="Murphy").first"#, Some("\"Dale\"")),
        (
            r#"friends.#(last=="Murphy")#.first"#,
            Some(r#"["Dale","Jane"]"#),
        ),
        ("friends.#(age>45)#.last", Some(r#"["Craig","Murphy"]"#)),
        (r#"friends.#(first%"D*").last"#, Some("\"Murphy\"")),
        (r#"friends.#(first!%"D*").last"#, Some("\"Craig\"")),
        (
            r#"friends.#(nets.#(=="fb"))#.first"#,
            Some(r#"["Dale","Roger"]"#),
        ),
        (r#"children.#(!="Sara")"#, Some("\"Alex\"")),
        ("friends.#(age>100)#.first", Some("[]")),
        ("friends.#(age>100).first", None),
        (r#"friends.#(last=="Murphy")#|0.first"#, Some("\"Dale\"")),
        ("friends.#.nets.#", Some("[3,2,2]")),
        ("friends.#.nets|1", Some(r#"["fb","tw"]"#)),
        ("children|@reverse", Some(r#"["Jack","Alex","Sara"]"#)),
        ("children.@reverse.0", Some("\"Jack\"")),
        ("name|@keys", Some(r#"["first","last"]"#)),
        ("name.@values", Some(r#"["Tom","Anderson"]"#)),
        (
            "{name.first,age,\"pal\":friends.0.first}",
            Some(r#"{"first":"Tom","age":37,"pal":"Dale"}"#),
        ),
        ("[name.first,nope,age]", Some(r#"["Tom",37]"#)),
        (
            "friends.0.{first,age}",
            Some(r#"{"first":"Dale","age":44}"#),
        ),
        (
            "friends.#.nets|@flatten",
            Some(r#"["ig","fb","tw","fb","tw","ig","tw"]"#),
        ),
        ("nope.a", None),
    ] {
        assert_eq!(get(TEXT, path).as_deref(), want, "{path}");
    }
    assert_eq!(
        get("[{\"a\":1},{\"b\":2}]", "@join").as_deref(),
        Some(r#"{"a":1,"b":2}"#)
    );
    assert_eq!(
        get("{\"a\": [1, 2]}", "@ugly").as_deref(),
        Some(r#"{"a":[1,2]}"#)
    );
    assert_eq!(
        get("{\"a\": 1}", "@pretty").as_deref(),
        Some("{\n  \"a\": 1\n}\n")
    );
    assert_eq!(get("{\"a\":1", "a").as_deref(), Some("1"));
    assert_eq!(get("{\"a\":1", "@valid"), None);
}

#[test]
fn text_in_front_of_the_json_is_passed_over() {
    assert_eq!(
        get("at 10:00 body={\"a\":{\"b\":5}} done", "a.b").as_deref(),
        Some("5")
    );
    assert_eq!(get("list [1,2,3]", "#").as_deref(), Some("3"));
    assert_eq!(get("\u{FEFF}{\"a\":1}", "a").as_deref(), Some("1"));
    assert_eq!(get("nothing here", "a"), None);
    // Only the text as a whole, not what a path leads to.
    assert_eq!(get(r#"{"a":"x {\"b\":1}"}"#, "a.b"), None);
}

#[test]
fn lines_are_read_like_a_list() {
    let lines = "{\"a\":1}\n{\"a\":2}\n\n[3]\n";
    for (path, want) in [
        ("..#", Some("3")),
        ("..0.a", Some("1")),
        ("..#.a", Some("[1,2]")),
        ("..#(a>1).a", Some("2")),
        ("..#(a>0)#.a", Some("[1,2]")),
        ("..2.0", Some("3")),
        ("..3", None),
    ] {
        assert_eq!(get(lines, path).as_deref(), want, "{path}");
    }
}

#[test]
fn values_may_stand_in_the_path() {
    for (path, want) in [
        ("{age,\"kind\":!\"u\"}", Some(r#"{"age":37,"kind":"u"}"#)),
        ("[age,!1,!true,!null]", Some("[37,1,true,null]")),
        ("[age,!{\"a\":[1,2]}]", Some(r#"[37,{"a":[1,2]}]"#)),
        ("!{\"a\":5}.a", Some("5")),
        ("name.!7", Some("7")),
        ("!nonsense", None),
    ] {
        assert_eq!(get(TEXT, path).as_deref(), want, "{path}");
    }
}

#[test]
fn modifiers_work_on_what_stands_in_front() {
    for (json, path, want) in [
        (r#"{"a":{"b":1}}"#, "a.@tostr", r#""{\"b\":1}""#),
        (r#"{"a":"{\"k\":[1,2]}"}"#, "a.@fromstr.k.1", "2"),
        (
            r#"{"a":{"id":1,"b":[{"id":2}]},"id":3}"#,
            "@dig:id",
            "[3,1,2]",
        ),
        (r#"{"a":{"id":1,"b":[{"id":2}]}}"#, "@dig:id|#", "2"),
        (
            r#"{"id":["x","y"],"n":[1,2,3],"z":0}"#,
            "@group",
            r#"[{"id":"x","n":1},{"id":"y","n":2},{"n":3}]"#,
        ),
        (
            r#"{"b":1,"a":2}"#,
            "@pretty:{\"sortKeys\":true,\"indent\":\"\"}",
            "{\n\"a\": 2,\n\"b\": 1\n}\n",
        ),
        (
            "[[1,2],[3,{\"a\":4}]]",
            "@pretty",
            "[\n  [1, 2],\n  [\n    3,\n    {\n      \"a\": 4\n    }\n  ]\n]\n",
        ),
        (
            "[1,2,3]",
            "@pretty:{\"width\":6}",
            "[\n  1,\n  2,\n  3\n]\n",
        ),
        (r#"{"@odd":5}"#, "@odd", "5"),
    ] {
        assert_eq!(get(json, path).as_deref(), Some(want), "{json} {path}");
    }
    assert_eq!(
        get(r#"{"a":"no json"}"#, "a|@fromstr").as_deref(),
        Some("no json")
    );
}

#[test]
fn a_walk_that_costs_too_much_leads_nowhere_and_leaves_the_meter_empty() {
    let text = format!("[{}1]", "1,".repeat(1000));
    let meter = Meter::new(500, std::time::Duration::MAX);
    assert!(
        super::get(
            &text,
            "@reverse|@reverse|@reverse|@reverse",
            &meter,
            1 << 20
        )
        .is_none()
    );
    assert!(meter.in_debt());
    let meter = Meter::unbounded();
    let doubled = "[@this,@this]|[@this,@this]|[@this,@this]|[@this,@this]";
    assert!(super::get(&text, doubled, &meter, 10_000).is_none());
    assert!(meter.in_debt());
}

#[test]
fn hostile_paths_and_texts_end() {
    let deep = "[".repeat(100_000);
    for path in [
        &deep,
        &"a.".repeat(100_000),
        &"#(".repeat(10_000),
        &"{".repeat(10_000),
        &"@reverse|".repeat(10_000),
    ] {
        let _any = get(&deep, path);
        let _any = get(TEXT, path);
    }
    for json in [
        "", "{", "[", "{\"", "{\"a", "{\"a\"", "{\"a\":", "[1", "[,", "\\", "\"\\",
    ] {
        for path in [
            "a", "0", "#", "#.a", "@flatten", "@keys", "@pretty", "#(a>1)#", "*",
        ] {
            let _any = get(json, path);
        }
    }
}
