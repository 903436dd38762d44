//! Queries on a small order, and texts that are not documents.

use super::*;
use proptest::prelude::*;

const ORDER: &str = r#"<?xml version="1.0"?><!DOCTYPE order>
<order id="A7" xmlns:s="urn:s"><item sku="p1">Pen</item><item sku="p2">Ink<note>blue</note>pot</item>
<empty/><raw><![CDATA[a<b&c]]></raw><s:to s:at="x">Oslo</s:to><!-- c --></order>"#;

fn first(query: &str, xml: &str) -> Option<String> {
    Query::compile(query)?
        .first(xml, &Meter::unbounded())
        .unwrap()
}

#[test]
fn queries() {
    for (query, text) in [
        ("/order/item", "Pen"),
        ("/order/item[2]", "Inkbluepot"),
        ("/order/item[2]/text()", "Ink"),
        ("//item[@sku='p2']/note/..", "Inkbluepot"),
        ("//@sku", "p1"),
        ("//empty", ""),
        ("//raw", "a<b&c"),
        ("//s:to", "Oslo"),
        ("//s:to/@s:at", "x"),
        ("//*[local-name()='to']", "Oslo"),
        ("//item[last()-1]", "Pen"),
        ("(//item)[2]/@sku", "p2"),
        ("//note | /order/item[1]", "Pen"),
        ("//item[ends-with(@sku, '2')]/@sku", "p2"),
        ("//item[not(ends-with(., 'Pen'))]/note", "blue"),
    ] {
        assert_eq!(first(query, ORDER).as_deref(), Some(text), "{query}");
    }
    for query in [
        "//to",
        "/Order",
        "//item[",
        "",
        "count(//item)",
        "//item = 'Pen'",
        "a b",
        "true()",
        "$x",
        "nope()",
        "//item[nope(.)]",
    ] {
        assert_eq!(first(query, ORDER), None, "{query}");
    }
}

#[test]
fn documents() {
    assert_eq!(
        first("/a", "<a xmlns=\"urn:d\">v</a>").as_deref(),
        Some("v")
    );
    assert_eq!(first("/b", "<a/><b>2</b> text").as_deref(), Some("2"));
    for xml in [
        "",
        "text",
        "<a>",
        "<a><b></a>",
        "<a>&nbsp;</a>",
        "<!DOCTYPE a [<!ENTITY e \"v\">]><a>&e;</a>",
        "<p:a/>",
        "<a x=1/>",
        "<?xml version=\"1.0\" encoding=\"no-such\"?><a/>",
        "</fragment><a/><fragment>",
    ] {
        assert_eq!(first("//a", xml), None, "{xml}");
    }
}

#[test]
fn depth_is_harmless() {
    let deep = "<a>".repeat(20_000) + "x" + &"</a>".repeat(20_000);
    assert_eq!(first("/a/a/a", &deep).as_deref(), Some("x"));
    assert_eq!(first(&"(".repeat(100_000), "<a/>"), None);
    assert_eq!(first(&"-".repeat(2000), "<a/>"), None);
}

proptest! {
    #[test]
    fn any_query_and_text_have_an_answer(
        query in r"(//|/|a|@b|\*|\[|\]|\(|\)|text\(\)|[0-9]|=|'x'| or |\.|-|last\(\)|::|ends-with|,){0,12}",
        xml in r"(<a>|</a>|<b x='1'>|</b>|<c/>|x|&lt;|&|<!--|-->|<!DOCTYPE|\[|>){0,12}",
    ) {
        let _first = first(&query, &xml);
        let _first = first(&query, ORDER);
    }
}

#[test]
fn along_a_path_that_goes_backwards_the_nearest_comes_first() {
    const SHOP: &str = r#"<shop><box id="1"/><box id="2"/><cart><pen>red</pen></cart><cart><pen>blue</pen></cart><till>9</till></shop>"#;
    for (query, text) in [
        ("//pen/ancestor::*", "red"),
        ("//pen/ancestor-or-self::*", "red"),
        ("//till/preceding::*", "blue"),
        ("//till/preceding::box/@id", "2"),
        ("//till/preceding-sibling::box[1]/@id", "2"),
        ("//till/preceding-sibling::box[last()]/@id", "1"),
        ("//till/preceding::cart/pen", "blue"),
        ("//till/ancestor::shop/box/@id", "1"),
        ("(//till/preceding::box)[1]/@id", "1"),
        ("//box/following::pen", "red"),
    ] {
        assert_eq!(first(query, SHOP).as_deref(), Some(text), "{query}");
    }
}

#[test]
fn a_query_that_costs_too_much_ends() {
    let many = format!("<a>{}</a>", "<b>1</b>".repeat(2000));
    for query in [
        "//b[count(//b) > 0]",
        "//b[. = //b]",
        "/a[//b = //b]/b[translate(., //a, 'x')]",
    ] {
        let meter = Meter::new(100_000, std::time::Duration::MAX);
        let found = Query::compile(query).unwrap().first(&many, &meter);
        assert_eq!(found, Err(Spent::Work), "{query}");
    }
    let attributes: Vec<String> = (0..20_000).map(|at| format!("x{at}='1'")).collect();
    let meter = Meter::new(1_000_000, std::time::Duration::MAX);
    let found = Query::compile("//a")
        .unwrap()
        .first(&format!("<a {}/>", attributes.join(" ")), &meter);
    assert_eq!(found, Err(Spent::Work));
}
