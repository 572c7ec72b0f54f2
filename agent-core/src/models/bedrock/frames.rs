//! Frames that the SDK cannot read, and need not.

use aws_sdk_bedrockruntime::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_bedrockruntime::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_bedrockruntime::error::BoxError;
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::event_stream::Message;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use serde_json::{Value, json};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Longer than any frame of the service, with what may come together with one.
const FRAME_BYTES_MAX: usize = 32 << 20;

/// Takes block starts that name no kind out of a stream.
///
/// Servers that speak the service's protocol begin texts with `"start": {}`. It says nothing, since a text begins with its first
/// piece; but to the SDK it is a union without a member, and it gives up the whole stream.
#[derive(Debug)]
pub(super) struct WithoutEmptyStarts;

impl Intercept for WithoutEmptyStarts {
    fn name(&self) -> &'static str {
        "WithoutEmptyStarts"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let kind = response.headers().get("content-type").unwrap_or_default();
        if response.status().is_success() && kind.starts_with("application/vnd.amazon.eventstream") {
            let body = Filtered { body: response.take_body(), held: BytesMut::new(), as_is: false };
            *response.body_mut() = SdkBody::from_body_1_x(body);
        }
        Ok(())
    }
}

/// Gives a body on frame by frame. From a frame that cannot be decoded on everything is given as it comes: the SDK says what is wrong.
struct Filtered {
    body: SdkBody,
    held: BytesMut,
    as_is: bool,
}

impl Filtered {
    /// The next frames that are whole, without those that say nothing.
    fn whole_frames(&mut self) -> Bytes {
        let mut frames = BytesMut::new();
        while !self.as_is {
            let mut left: &[u8] = &self.held;
            match MessageFrameDecoder::new().decode_frame(&mut left) {
                Ok(DecodedFrame::Complete(message)) => {
                    let length = self.held.len().saturating_sub(left.len());
                    let frame = self.held.split_to(length);
                    if !is_empty_start(&message) {
                        frames.extend_from_slice(&frame);
                    }
                }
                Ok(DecodedFrame::Incomplete) => return frames.freeze(),
                Err(_) => self.as_is = true,
            }
        }
        frames.extend_from_slice(&self.held.split());
        frames.freeze()
    }
}

impl Body for Filtered {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(context)) else {
                let rest = this.held.split().freeze();
                return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
            };
            // Nothing but data comes in a stream of events.
            let Ok(data) = frame?.into_data() else { continue };
            this.held.extend_from_slice(&data);
            if this.held.len() > FRAME_BYTES_MAX {
                return Poll::Ready(Some(Err("a frame is too long".into())));
            }
            let frames = this.whole_frames();
            if !frames.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(frames))));
            }
        }
    }
}

fn is_empty_start(message: &Message) -> bool {
    let mut headers = message.headers().iter();
    let named = |value: &aws_smithy_types::event_stream::HeaderValue| {
        value.as_string().is_ok_and(|name| name.as_str() == "contentBlockStart")
    };
    let start = headers.any(|header| header.name().as_str() == ":event-type" && named(header.value()));
    start
        && serde_json::from_slice::<Value>(message.payload())
            .is_ok_and(|payload| payload.get("start") == Some(&json!({})))
}
