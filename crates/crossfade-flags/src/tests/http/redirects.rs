//! Redirects, and what goes along with them.

use super::{
    next,
    server::{Server, respond},
    source,
};

#[tokio::test]
async fn another_origin_never_sees_the_token() {
    let elsewhere = Server::start(|_, _| respond(200, &[("etag", "\"1\"")], "{}")).await;
    let target = elsewhere.url("/there?signature=1");
    let home = Server::start(move |asked, _| match asked.target.as_str() {
        "/" => respond(302, &[("location", "/nearby")], ""),
        _ => respond(307, &[("location", &target)], ""),
    })
    .await;
    let mut source = source(&home.url("/"))
        .with_token("s3cr3t")
        .unwrap()
        .with_header("x-api-key", "s3cr3t")
        .unwrap();
    assert_eq!(next(&mut source).await.unwrap().unwrap().text, "{}");
    next(&mut source).await.unwrap();
    for request in home.requests() {
        assert_eq!(request.headers["authorization"], "Bearer s3cr3t", "{request:?}");
        assert_eq!(request.headers["x-api-key"], "s3cr3t", "{request:?}");
        // The mark belongs to the place behind the redirects.
        assert!(!request.headers.contains_key("if-none-match"), "{request:?}");
    }
    let [first, second] = &elsewhere.requests()[..] else { panic!("{:?}", elsewhere.requests()) };
    for request in [first, second] {
        assert_eq!(request.target, "/there?signature=1");
        assert!(request.headers.contains_key("user-agent"), "{request:?}");
        assert!(!format!("{request:?}").contains("s3cr3t"), "{request:?}");
    }
    assert_eq!(second.headers["if-none-match"], "\"1\"");
}

/// Who leads elsewhere and back could otherwise choose where at home the token is shown.
#[tokio::test]
async fn the_token_does_not_come_back_from_elsewhere() {
    let home = Server::start(|asked, _| {
        let back = asked.headers["host"].to_str().unwrap();
        match asked.target.split_once("?via=") {
            Some((_, elsewhere)) => {
                let target = format!("http://{elsewhere}/?back={back}");
                respond(302, &[("location", &target)], "")
            }
            None => respond(200, &[], "{}"),
        }
    })
    .await;
    let elsewhere = Server::start(|asked, _| {
        let back = asked.target.split_once("?back=").unwrap().1;
        respond(302, &[("location", &format!("http://{back}/done"))], "")
    })
    .await;
    let via = elsewhere.url("").replace("http://", "");
    let mut source = source(&home.url(&format!("/?via={via}"))).with_token("s3cr3t").unwrap();
    next(&mut source).await.unwrap();
    let seen = home
        .requests()
        .iter()
        .map(|asked| asked.headers.contains_key("authorization"))
        .collect::<Vec<_>>();
    assert_eq!(seen, [true, false]);
}

#[tokio::test]
async fn redirects_end_somewhere() {
    let server = Server::start(|_, _| respond(301, &[("location", "/again")], "")).await;
    let mut source = source(&server.url("/")).with_most_redirects(2);
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.to_string(), "the server redirects more than 2 times");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_redirect_must_lead_to_a_server() {
    for (location, expect) in [
        ("file:///etc/passwd", "a redirect from http to file is not followed"),
        ("http://", "the server answered 302 Found without a place to go"),
    ] {
        let server = Server::start(move |_, _| respond(302, &[("location", location)], "")).await;
        let error = next(&mut source(&server.url("/"))).await.unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
}

/// What is behind the question mark is how such places are often protected.
#[tokio::test]
async fn an_error_behind_a_redirect_names_the_place_without_its_query() {
    let elsewhere = Server::start(|_, _| respond(403, &[], "")).await;
    let target = elsewhere.url("/there?signature=s3cr3t");
    let home = Server::start(move |_, _| respond(302, &[("location", &target)], "")).await;
    let error = next(&mut source(&home.url("/"))).await.unwrap_err().to_string();
    let there = elsewhere.url("/there answered 403 Forbidden;");
    assert!(error.starts_with(&there) && !error.contains("s3cr3t"), "{error}");
}
