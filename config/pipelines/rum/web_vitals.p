# Page views as JSON: {"app": "shop", "page": "/cart", "lcp_ms": 1830, "error": null}
# `app_id` starts as the name of the topic and ends as the application.
data = load_json(message)

set_measurement("view")
app = data["app"]
page = data["page"]
set_tag(app_id, app)
set_tag(page, page)
add_key(largest_contentful_paint, data["lcp_ms"])

if data["error"] != nil {
    add_key(error_message, data["error"])
    add_key(status, "error")
}

drop_key(message)
drop_key(message_len)
