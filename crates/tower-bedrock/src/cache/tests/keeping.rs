use super::*;

fn kept_after(answer: Result<Response<Answer>, Error>) -> bool {
    let service = layer().layer(Backend::new());
    let result = made(&service, ask("hello"), answer);
    if let Ok(answer) = &result {
        assert_eq!(answer.served().cache, CacheStatus::Miss);
    }
    let kept = answered(&service, ask("hello"), "second").output().text != "second";
    assert_eq!(service.store().entries(), 1);
    kept
}

fn changed(change: impl FnOnce(&mut Response<Answer>)) -> Result<Response<Answer>, Error> {
    let mut answer = says("first").unwrap();
    change(&mut answer);
    Ok(answer)
}

/// An error is never kept: the next call is made.
#[tokio::test(start_paused = true)]
async fn errors_are_not_kept() {
    assert!(kept_after(says("first")));
    for cause in [Cause::ModelOverloaded, Cause::InvalidRequest] {
        assert!(!kept_after(Err(Error::new(cause))));
    }
}

/// Neither is an answer that the model did not end by itself.
#[tokio::test(start_paused = true)]
async fn what_is_not_whole_is_not_kept() {
    let cut = Answer {
        text: "first",
        is_whole: false,
    };
    let cut = Response::new(cut, crate::Served::default(), None);
    assert!(!kept_after(Ok(cut)));
}

/// Nor what another model answered than the one that was asked, nor what another call keeps.
#[tokio::test(start_paused = true)]
async fn what_was_not_asked_for_is_not_kept() {
    assert!(!kept_after(changed(|answer| answer
        .served_mut()
        .degraded = true)));
    assert!(!kept_after(changed(|answer| answer
        .served_mut()
        .coalesced = true)));
}

/// An answer is given again until it is as old as it may be.
#[tokio::test(start_paused = true)]
async fn an_answer_lives_for_its_time() {
    let service = layer().layer(Backend::new());
    answered(&service, ask("hello"), "one");
    tokio::time::advance(TTL - Duration::from_millis(1)).await;
    let late = answered(&service, ask("hello"), "two");
    let age = TTL - Duration::from_millis(1);
    assert_eq!(late.served().cache, CacheStatus::Hit { age });
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(answered(&service, ask("hello"), "two").output().text, "two");
    // To be given does not make it younger, to be kept anew does.
    tokio::time::advance(TTL - Duration::from_millis(1)).await;
    assert_eq!(
        answered(&service, ask("hello"), "three").output().text,
        "two"
    );
}

/// A call whose deadline has passed costs nothing if the answer is there.
#[tokio::test(start_paused = true)]
async fn a_hit_has_no_deadline() {
    let service = layer().layer(Backend::new());
    answered(&service, ask("hello"), "one");
    let late = ask("hello").with_timeout(Duration::ZERO);
    assert_eq!(answered(&service, late, "two").output().text, "one");
}
