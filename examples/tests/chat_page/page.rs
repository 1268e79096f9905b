//! The browser and what is looked at in it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel, prelude::*};

use crate::support::{Chat, eventually};

/// An open page. It is in the order in which it is taken down: the browser by its driver, then that.
pub(crate) struct Page {
    pub(crate) browser: WebDriver,
    _driver: Driver,
}

struct Driver(Child);

impl Page {
    pub(crate) async fn open(chat: &Chat) -> Self {
        Self::sized(chat, 1280, 900, "light").await
    }

    /// In a window of a size, for somebody who prefers a colour scheme.
    pub(crate) async fn sized(chat: &Chat, width: u32, height: u32, scheme: &str) -> Self {
        let (driver, url) = Driver::start();
        let mut wanted = DesiredCapabilities::chrome();
        for flag in ["--headless=new", "--no-sandbox", "--disable-gpu"] {
            wanted.add_arg(flag).unwrap();
        }
        wanted
            .set_logging_prefs("browser", LoggingPrefsLogLevel::All)
            .unwrap();
        let browser = WebDriver::new(url, wanted).await.expect("Chromium starts");
        let page = Self {
            browser,
            _driver: driver,
        };
        page.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}),
        )
        .await;
        let prefers = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        page.devtools("Emulation.setEmulatedMedia", json!({ "features": prefers }))
            .await;
        page.browser.goto(&chat.url).await.unwrap();
        page.wait_for(
            "the picture is drawn",
            "return !!document.querySelector('.circuit, .quota')",
        )
        .await;
        page
    }

    async fn devtools(&self, command: &str, arguments: Value) {
        let done = self.browser.cdp().send_raw(command, arguments).await;
        done.unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    pub(crate) async fn find(&self, selector: &str) -> WebElement {
        let found = self.browser.find(By::Css(selector)).await;
        found.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    /// Presses keys wherever the focus is.
    pub(crate) async fn press(&self, keys: impl Into<TypingData>) {
        let keys = self.browser.action_chain().send_keys(keys);
        keys.perform().await.unwrap();
    }

    /// What a script returns.
    pub(crate) async fn ask(&self, script: &str) -> Value {
        let answer = self.browser.execute(script, Vec::new()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{script}: {error}"));
        answer.json().clone()
    }

    /// Waits until a script returns true.
    pub(crate) async fn wait_for(&self, what: &str, script: &str) {
        eventually(what, async || self.ask(script).await == true).await;
    }

    /// Nothing that the browser found fault with: an error of a script, a file that is missing,
    /// something the policy forbids.
    pub(crate) async fn has_no_complaints(self) {
        let log = self.browser.get_log("browser").await.unwrap();
        assert!(log.is_empty(), "{log:?}");
        self.browser.quit().await.unwrap();
    }
}

impl Driver {
    /// A driver on a free port, and where it is.
    fn start() -> (Self, String) {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts; cargo xtask browser installs it where it can");
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let driver = Self(child);
        let mut lines = stdout.lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let port = port.expect("chromedriver tells its port");
        // It would stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        (driver, format!("http://127.0.0.1:{port}"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}
