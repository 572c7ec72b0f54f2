use super::*;
use crate::openapi::api::Api;
use crate::openapi::document::Document;
use crate::openapi::operation::Place;
use crate::openapi::security::Schemes;
use http::Method;
use serde_json::json;

/// What `POST` to this path with these parameters is written as.
fn sent(path: &str, parameters: &Value, body: &Value, arguments: &Value) -> Result<Written, String> {
    let post = json!({"parameters": parameters, "requestBody": {"content": body}});
    let text = json!({"openapi": "3.1.0", "paths": {path: {"post": post}}}).to_string();
    let api = Api::new("a", text.clone(), "https://api.example/v1/").unwrap().slashes("file");
    let document = Document::read(text.as_bytes(), 1 << 20).unwrap();
    let schemes = Schemes::read(&api, &document).unwrap();
    let (_, item) = document.paths().next().unwrap();
    let item = item.as_object().unwrap();
    let said = item["post"].as_object().unwrap();
    let at = Place { method: Method::POST, path, item, said };
    let operation = Operation::read(&api, &document, &schemes, &at).map_err(|why| why.to_string())?;
    write(schemes.server(), &operation, arguments.as_object().unwrap(), 10_000)
}

fn url(path: &str, parameter: Value, value: Value) -> Result<String, String> {
    let argument = parameter["name"].as_str().unwrap().trim_end_matches("[]").to_owned();
    sent(path, &json!([parameter]), &json!({}), &json!({argument: value}))
        .map(|written| written.url.as_str().strip_prefix("https://api.example/v1").unwrap().to_owned())
}

/// The examples of the specification's section "Style Examples" with members in alphabetical order, and what it leaves open.
#[test]
fn each_style_is_written_as_the_specification_shows() {
    let (list, object) = (json!(["blue", "black", "brown"]), json!({"B": 150, "G": 200, "R": 100}));
    for (place, style, explode, value, expected) in [
        ("path", "matrix", false, json!("blue"), "/;color=blue"),
        ("path", "matrix", false, list.clone(), "/;color=blue,black,brown"),
        ("path", "matrix", false, object.clone(), "/;color=B,150,G,200,R,100"),
        ("path", "matrix", true, list.clone(), "/;color=blue;color=black;color=brown"),
        ("path", "matrix", true, object.clone(), "/;B=150;G=200;R=100"),
        ("path", "label", false, json!("blue"), "/.blue"),
        ("path", "label", false, list.clone(), "/.blue,black,brown"),
        ("path", "label", true, list.clone(), "/.blue.black.brown"),
        ("path", "label", true, object.clone(), "/.B=150.G=200.R=100"),
        ("path", "simple", false, json!("blue"), "/blue"),
        ("path", "simple", false, list.clone(), "/blue,black,brown"),
        ("path", "simple", false, object.clone(), "/B,150,G,200,R,100"),
        ("path", "simple", true, object.clone(), "/B=150,G=200,R=100"),
        ("query", "form", false, json!(""), "/?color="),
        ("query", "form", false, json!("blue"), "/?color=blue"),
        ("query", "form", false, list.clone(), "/?color=blue,black,brown"),
        ("query", "form", false, object.clone(), "/?color=B,150,G,200,R,100"),
        ("query", "form", true, list.clone(), "/?color=blue&color=black&color=brown"),
        ("query", "form", true, object.clone(), "/?B=150&G=200&R=100"),
        ("query", "spaceDelimited", false, list.clone(), "/?color=blue%20black%20brown"),
        ("query", "pipeDelimited", false, list.clone(), "/?color=blue%7Cblack%7Cbrown"),
        ("query", "deepObject", true, object.clone(), "/?color%5BB%5D=150&color%5BG%5D=200&color%5BR%5D=100"),
    ] {
        let path = if place == "path" { "/{color}" } else { "/" };
        let parameter = json!({"name": "color", "in": place, "style": style, "explode": explode, "required": place == "path"});
        assert_eq!(
            url(path, parameter, value.clone()).as_deref(),
            Ok(expected),
            "{place} {style} {explode} {value}"
        );
    }
    let plain = |value: Value| url("/", json!({"name": "expand[]", "in": "query"}), value);
    assert_eq!(
        plain(json!(["a&b=c", "d e", "é+", true, 1.5])).as_deref(),
        Ok(
            "/?expand%5B%5D=a%26b%3Dc&expand%5B%5D=d%20e&expand%5B%5D=%C3%A9%2B&expand%5B%5D=true&expand%5B%5D=1.5"
        )
    );
    let needed = json!({"name": "ids", "in": "query", "required": true});
    assert!(url("/", needed, json!([])).unwrap_err().contains("it is empty"));
    let content = json!({"name": "filter", "in": "query", "content": {"application/json": {}}});
    assert_eq!(url("/", content, json!({"a": [1]})).as_deref(), Ok("/?filter=%7B%22a%22%3A%5B1%5D%7D"));
}

#[test]
fn no_value_of_a_path_leads_elsewhere() {
    let again = format!("%{}2e", "25".repeat(8));
    for value in [
        "..",
        ".",
        "../admin",
        "a/../b",
        "..\\admin",
        "%2e%2e",
        "%2E%2E%2Fadmin",
        "%252e%252e%252f",
        "..%2fadmin",
        "a/b",
        "a%2Fb",
        "a\\b",
        "",
        "a\u{0}b",
        "a\nb",
        "%00",
        " .. ",
        &again,
    ] {
        let path =
            url("/users/{id}/keys", json!({"name": "id", "in": "path", "required": true}), json!(value));
        assert!(path.is_err(), "{value:?}: {path:?}");
    }
    for (value, expected) in [
        ("a b", "/users/a%20b/keys"),
        ("a?x=1#y", "/users/a%3Fx%3D1%23y/keys"),
        ("a;b=c", "/users/a%3Bb%3Dc/keys"),
        ("..a", "/users/..a/keys"),
        ("{name}", "/users/%7Bname%7D/keys"),
        ("100%", "/users/100%25/keys"),
        ("@evil.test:80", "/users/%40evil.test%3A80/keys"),
        ("é", "/users/%C3%A9/keys"),
    ] {
        let path =
            url("/users/{id}/keys", json!({"name": "id", "in": "path", "required": true}), json!(value));
        assert_eq!(path.as_deref(), Ok(expected), "{value}");
    }
}

#[test]
fn slashes_are_sent_where_the_operator_lets_them_and_lead_nowhere_else() {
    let path = |value: &str| {
        url("/contents/{file}", json!({"name": "file", "in": "path", "required": true}), json!(value))
    };
    assert_eq!(path("docs/a b.md").as_deref(), Ok("/contents/docs%2Fa%20b.md"));
    for value in ["../x", "a/..", "a//b", "/a", "a/", "a/%2e%2e/b", "a\\..\\b"] {
        assert!(path(value).is_err(), "{value}");
    }
}

#[test]
fn a_value_that_names_another_parameter_does_not_fill_it() {
    let parameters =
        json!([{"name": "a", "in": "path", "required": true}, {"name": "b", "in": "path", "required": true}]);
    let written = sent("/{a}/{b}", &parameters, &json!({}), &json!({"a": "{b}", "b": "x"})).unwrap();
    assert_eq!(written.url.path(), "/v1/%7Bb%7D/x");
}

#[test]
fn headers_and_cookies_hold_what_they_can_and_nothing_else() {
    let parameters = json!([{"name": "X-Tag", "in": "header"}, {"name": "theme", "in": "cookie"}]);
    let send = |arguments: Value| sent("/", &parameters, &json!({}), &arguments);
    let written = send(json!({"X-Tag": ["a", "b"], "theme": "dark; admin=1"})).unwrap();
    assert_eq!(written.headers["x-tag"], "a,b");
    assert_eq!(written.headers["cookie"], "theme=dark%3B%20admin%3D1");
    for value in ["a\r\nHost: evil.test", "é", " a", "", "a\u{0}"] {
        assert!(send(json!({"X-Tag": value})).is_err(), "{value:?}");
    }
}

#[test]
fn bodies_are_json_forms_or_text() {
    let send = |content: Value, body: Value| {
        let written = sent("/", &json!([]), &content, &json!({"body": body})).unwrap();
        (
            written.headers["content-type"].to_str().unwrap().to_owned(),
            String::from_utf8(written.body.to_vec()).unwrap(),
        )
    };
    let form = json!({"application/x-www-form-urlencoded": {"schema": {}}});
    let body = json!({"items": [{"price": 1}], "meta": {"k": "v"}, "name": "a b&c", "none": null, "tags": ["x", "y"]});
    assert_eq!(
        send(json!({"application/json": {}}), json!({"a": [1]})),
        ("application/json".to_owned(), "{\"a\":[1]}".to_owned())
    );
    assert_eq!(
        send(form, body),
        (
            "application/x-www-form-urlencoded".to_owned(),
            "items%5B0%5D%5Bprice%5D=1&meta%5Bk%5D=v&name=a%20b%26c&none=&tags=x&tags=y".to_owned()
        )
    );
    assert_eq!(send(json!({"text/plain": {}}), json!("a\nb")), ("text/plain".to_owned(), "a\nb".to_owned()));
    assert!(
        sent("/", &json!([]), &json!({"application/json": {}}), &json!({"body": "x".repeat(20_000)}))
            .is_err()
    );
}
