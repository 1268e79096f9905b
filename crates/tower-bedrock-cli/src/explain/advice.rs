//! What each cause means to a person, and what a person can do about it.

use tower_bedrock::Cause;

pub(super) struct Advice {
    pub(super) meaning: &'static str,
    /// The most useful first.
    pub(super) you: &'static [&'static str],
}

impl Advice {
    pub(super) fn on(cause: Cause) -> Self {
        let (meaning, you): (&'static str, &'static [&'static str]) = match cause {
            Cause::RequestRate => (
                "The account's requests per minute for this model are used up, in this region and on this \
                 path (in-region, geographic profile or global profile).",
                &[
                    "Tell the stack the quota, so that it waits instead of being refused.",
                    "Use another path or region: each has a quota of its own.",
                    "Ask for an increase in Service Quotas; newer models have no quota of requests at all.",
                ],
            ),
            Cause::TokenRate => (
                "The call did not fit what is left of the tokens per minute. At its start a call takes its \
                 input plus maxTokens, and the model's maximum if maxTokens is not set; what it does not use \
                 comes back only at its end.",
                &[
                    "Set maxTokens to what answers really need: `tower-bedrock plan` says what it costs.",
                    "Tell the stack the quota, so that calls wait their turn.",
                    "Use another path or region, or ask for an increase in Service Quotas.",
                ],
            ),
            Cause::TokensPerDay => (
                "The day's tokens are used up. New accounts see this at their first call, when their quota is \
                 close to nothing.",
                &[
                    "Waiting a minute does not help; use another model, path or region until tomorrow.",
                    "Look at `Model invocation max tokens per day` in Service Quotas; where it cannot be \
                     raised there, open a support case.",
                ],
            ),
            Cause::Throttled => (
                "Throttled, and the service does not say by what: a quota of the account, or its own load.",
                &[
                    "Compare the use of the quotas with their limits; if they are far apart, treat it as load.",
                    "If the message is not one that this program knows, report it.",
                ],
            ),
            Cause::AccountLimit => (
                "A hard limit of the account, such as the number of jobs at a time, which waiting does not lift.",
                &["Free what is in use, or ask for an increase in Service Quotas."],
            ),
            Cause::ModelOverloaded => (
                "The model is overloaded by everybody's calls. The account's quota is not the matter.",
                &[
                    "Give the stack a fallback: another region, a geographic or global profile, another model.",
                    "An increase of the quota does not help.",
                ],
            ),
            Cause::ModelNotReady => (
                "The model is not loaded: an imported or custom model that was scaled to zero.",
                &[
                    "Wait; loading takes seconds to minutes. Give the call a deadline that allows for it.",
                    "If it happens often, keep the model warm or buy provisioned throughput.",
                ],
            ),
            Cause::CapacityExceeded => (
                "The region is short of capacity for this model and has put nobody in line.",
                &[
                    "Give the stack a fallback: another region, a geographic or global profile.",
                    "An increase of the quota does not help.",
                ],
            ),
            Cause::ServiceUnavailable => (
                "The service or the region is not available.",
                &[
                    "Give the stack a fallback to another region.",
                    "Look at the AWS Health Dashboard if it lasts.",
                ],
            ),
            Cause::Internal => (
                "Something failed inside the service.",
                &["Give the request id to AWS support if it goes on."],
            ),
            Cause::ModelTimeout => (
                "The inference took longer than the service allows. What was generated is billed.",
                &[
                    "Ask for less: a lower maxTokens, a shorter prompt, or a faster model.",
                    "Use a stream, so that what is generated is not lost.",
                ],
            ),
            Cause::ModelFailed => (
                "The model behind the service failed, or refused what it was sent; the message has its words.",
                &[
                    "With a status of 4xx inside, mend the request: the model does not take it.",
                    "With 5xx inside, try again or use another model.",
                ],
            ),
            Cause::StreamFailed => (
                "The service reported an error inside a stream that had begun, or sent what cannot be read.",
                &[
                    "Before its first content the call can be made again; after it, only as a new call.",
                ],
            ),
            Cause::StreamTruncated => (
                "A stream ended without its last event: the answer is not whole, however politely the \
                 connection was closed.",
                &[
                    "Do not take it for an answer; make the call again.",
                    "Look for proxies and load balancers that cut connections.",
                ],
            ),
            Cause::StreamStalled => (
                "A stream fell silent for longer than its limit.",
                &[
                    "Make the call again; raise the limits if the model is known to think for that long.",
                ],
            ),
            Cause::Connect => (
                "No connection, or one that broke before the answer was whole. In the second case the work may \
                 have been done and billed.",
                &[
                    "Check the endpoint, DNS, proxies, and the network's way out; a VPC needs an endpoint or a NAT.",
                    "Many at once: the pool of connections may be larger than something on the way allows.",
                ],
            ),
            Cause::Timeout => (
                "No answer in time. The service may go on with the work, and bill it.",
                &[
                    "Raise the read timeout: long answers take minutes.",
                    "Use a stream, or ask for less output.",
                ],
            ),
            Cause::ContextTooLong => (
                "Input and output together do not fit the model's context window.",
                &[
                    "Cut the prompt or lower maxTokens.",
                    "Use a model with a larger window; the stack can fall back to one for this cause alone.",
                ],
            ),
            Cause::ContentBlocked => (
                "The service's content filter refused the input or the output.",
                &["Change the content; a retry is refused again."],
            ),
            Cause::ProfileRequired => (
                "The model cannot be called by its bare id, only through an inference profile.",
                &[
                    "Put a geographic prefix before the id (us., eu., apac., jp., au., …) or global.: mind \
                     that this widens where the data may be processed.",
                ],
            ),
            Cause::InvalidRequest => (
                "The request is wrong and will stay so.",
                &[
                    "The message says what is wrong with it.",
                    "`The provided model identifier is invalid` also means: not in this region.",
                ],
            ),
            Cause::AccessDenied => (
                "The caller may not do this: permissions, a service control policy, or a model that the account \
                 has no access to.",
                &[
                    "Check IAM for bedrock:InvokeModel (and …WithResponseStream) on the model and on the profile.",
                    "A geographic or global profile needs its destination regions allowed as well.",
                    "Check that access to the model was granted; through the Marketplace it takes some minutes.",
                ],
            ),
            Cause::Credentials => (
                "The credentials are missing, wrong or expired.",
                &[
                    "Renew them: `aws sso login`, the instance's role, or the API key.",
                    "A signature that does not match also comes from a clock that is wrong by minutes.",
                ],
            ),
            Cause::NotFound => (
                "What the request names does not exist, or not in this region.",
                &["Check the id of the model, profile or guardrail, and the region of the client."],
            ),
            Cause::CircuitOpen => (
                "Refused by the circuit breaker: the route failed so often that it is left alone for a while.",
                &[
                    "Look for the failures that opened it: they come before this error, with another cause.",
                    "It is probed and closes by itself; a fallback keeps callers served meanwhile.",
                ],
            ),
            Cause::BudgetExhausted => (
                "Refused by the token budget: the call does not fit the quota before its deadline, or its line \
                 is full, or the call is larger than the whole quota.",
                &[
                    "Give calls a longer deadline, or set maxTokens lower: `tower-bedrock plan` says what fits.",
                    "Check that the configured quota is the account's own.",
                ],
            ),
            Cause::PoolSaturated => (
                "Refused by the pool: as many calls are in flight to the region as it allows, and its line is full.",
                &["Raise the limit if service and network can take more, or shed load earlier."],
            ),
            Cause::DeadlineExceeded => (
                "The caller's deadline has passed.",
                &[
                    "Give calls more time, or find out what they waited for: the metrics tell it by layer.",
                ],
            ),
            Cause::NoRouteAllowed => (
                "No route is left that the call may take: residency or its own options forbid the others.",
                &["Allow a wider residency, or add a route within the one that is allowed."],
            ),
            _ => (
                "Nothing that this program knows. The stack does not retry it: it would not know why.",
                &[
                    "Give the error with its code and status, not the message alone.",
                    "If this is an error of Bedrock, report it, and add a rule with `ClassifyLayer::with_rule`.",
                ],
            ),
        };
        Self { meaning, you }
    }
}
