//! The client's bytes in, messages out (RFC 6455 sections 5 and 8.1, RFC 7692 section 7.2.2). Pure: where the bytes come from is the caller's
//! business.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use crate::header::{Extension, Header};
use crate::inflate::{self, Inflating};
use crate::utf8::Utf8Check;
use crate::{Limits, Message, Opcode, Text, Violation, close, mask};

/// Up to so many bytes that follow a big message are moved, so that they do not keep its memory.
const REMAINDER_MOVED_BYTES_MAX: usize = 16 * 1024;

/// From this size on a message is big in the sense of [`REMAINDER_MOVED_BYTES_MAX`].
const BIG_MESSAGE_BYTES_MIN: usize = 64 * 1024;

/// An incremental decoder of what one client sends after the handshake.
///
/// Append bytes to [`buffer_mut`](Self::buffer_mut), then call [`next_message`](Self::next_message) until it gives
/// `None`. It does not matter how the bytes are split. A violation is found with the first byte that shows it: a wrong
/// length in the header, invalid text also inside a frame whose end has not come yet.
///
/// The payload of a message that came in one frame is not copied. A compressed one is inflated as it comes. Between
/// messages the decoder owns no memory.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    extension: Extension,
    /// Begins with a frame's header, or with its payload when the state says so.
    input: BytesMut,
    state: State,
    /// The data message under way, if what came of it does not wait in the input: it has further fragments, or is
    /// compressed.
    begun: Option<Box<Begun>>,
    /// Of the text message under way, if it did not come as a whole. A message that ends inside a character is refused,
    /// so that each one finds the check at its beginning.
    text_check: Utf8Check,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Header,
    Payload {
        header: Header,
        /// The bytes at the beginning of the input that are unmasked and checked.
        ready_bytes: usize,
    },
    /// The client has sent a close frame: nothing may follow it.
    Closed,
    Violated(Violation),
}

#[derive(Debug)]
struct Begun {
    kind: Kind,
    /// What came of it, inflated.
    payload: Vec<u8>,
    /// The frames that have ended.
    frame_count: usize,
    inflating: Option<Inflating>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

/// What one step of decoding came to.
enum Step {
    Continue,
    NeedInput,
    Message(Message),
}

// === impl Decoder ===

impl Decoder {
    /// A decoder that stands right after the handshake. It allocates nothing.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            extension: Extension::None,
            input: BytesMut::new(),
            state: State::Header,
            begun: None,
            text_check: Utf8Check::default(),
        }
    }

    /// Compressed messages may come from now on: [`Handshake::negotiate`](crate::Handshake::negotiate) has agreed on
    /// it.
    pub fn accept_compressed(&mut self) {
        self.extension = Extension::Deflate;
    }

    /// The input that was not decoded yet: append the client's bytes to it, and change nothing else.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// The bytes of memory that the decoder holds: undecoded input, the fragments of one message, and about what it
    /// takes to inflate it. 0 between messages.
    pub fn held_bytes(&self) -> usize {
        let of_message = self.begun.as_ref().map_or(0, |message| {
            let of_inflating = message.inflating.as_ref().map_or(0, |_| inflate::STATE_BYTES);
            message.payload.capacity() + of_inflating
        });
        self.input.capacity() + of_message
    }

    /// Whether something has begun that is not complete: a frame, be it only the first byte of its header, or a message
    /// of which some fragments have come. Input that was not asked for yet, see [`next_message`](Self::next_message),
    /// counts as begun. `false` after a close frame and after a violation.
    ///
    /// Who bounds how long a message may take starts to count when this becomes `true`, starts anew with each text or
    /// binary message, and stops when it is `false`. A control frame changes nothing: it may come between fragments.
    pub fn is_mid_message(&self) -> bool {
        match self.state {
            State::Header => self.begun.is_some() || !self.input.is_empty(),
            State::Payload { .. } => true,
            State::Closed | State::Violated(_) => false,
        }
    }

    /// The next message or control frame, or `None` if more input is needed.
    ///
    /// After a close frame there is none any more, and the input is discarded.
    ///
    /// # Errors
    ///
    /// The first [`Violation`], and the same at each call after it; the input is discarded.
    pub fn next_message(&mut self) -> Result<Option<Message>, Violation> {
        loop {
            match self.step() {
                Ok(Step::Continue) => {}
                Ok(Step::Message(message)) => return Ok(Some(message)),
                Ok(Step::NeedInput) => {
                    if self.input.is_empty() {
                        self.input = BytesMut::new();
                    }
                    return Ok(None);
                }
                Err(violation) => {
                    self.input = BytesMut::new();
                    self.begun = None;
                    self.state = State::Violated(violation);
                    return Err(violation);
                }
            }
        }
    }

    /// How much of the payload under way is missing, in bytes. 0 between frames.
    pub(crate) fn missing_bytes(&self) -> usize {
        match self.state {
            State::Payload { header, .. } => header.payload_bytes.saturating_sub(self.input.len()),
            State::Header | State::Closed | State::Violated(_) => 0,
        }
    }

    fn step(&mut self) -> Result<Step, Violation> {
        match self.state {
            State::Header => self.begin_frame(),
            State::Payload { header, ready_bytes } => self.continue_frame(header, ready_bytes),
            State::Closed => {
                self.input = BytesMut::new();
                Ok(Step::NeedInput)
            }
            State::Violated(violation) => Err(violation),
        }
    }

    fn begin_frame(&mut self) -> Result<Step, Violation> {
        let Some((header, header_bytes)) = Header::parse(&self.input, self.extension)? else {
            return Ok(Step::NeedInput);
        };
        self.admit(&header)?;
        self.input.advance(header_bytes);
        if header.is_compressed {
            let kind = if header.opcode == Opcode::Text { Kind::Text } else { Kind::Binary };
            let inflating = Some(Inflating::new());
            self.begun = Some(Box::new(Begun { kind, payload: Vec::new(), frame_count: 0, inflating }));
        }
        if let Some(inflating) = self.inflating(header.opcode) {
            inflating.claimed_bytes += header.payload_bytes;
        }
        self.state = State::Payload { header, ready_bytes: 0 };
        Ok(Step::Continue)
    }

    /// Another limit for the messages that begin from now on, bytes.
    pub fn set_message_bytes_max(&mut self, message_bytes_max: usize) {
        self.limits.message_bytes_max = message_bytes_max;
    }

    /// Whether the frame may follow the ones before it, and is within the limits.
    fn admit(&self, header: &Header) -> Result<(), Violation> {
        let before = match (header.opcode, &self.begun) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
            (Opcode::Continuation, None) => return Err(Violation::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Violation::ExpectedContinuation),
            (_, message) => message.as_ref(),
        };
        let Limits { message_bytes_max, fragment_count_max, .. } = self.limits;
        let inflating = before.and_then(|message| message.inflating.as_ref());
        let (bytes_before, bytes_max) = match inflating {
            Some(inflating) => (inflating.claimed_bytes, inflate::compressed_bytes_max(message_bytes_max)),
            None if header.is_compressed => (0, inflate::compressed_bytes_max(message_bytes_max)),
            None => (before.map_or(0, |message| message.payload.len()), message_bytes_max),
        };
        if header.payload_bytes > bytes_max.saturating_sub(bytes_before) {
            return Err(Violation::MessageTooBig { bytes_max: message_bytes_max });
        }
        if before.map_or(0, |message| message.frame_count) >= fragment_count_max.max(1) {
            return Err(Violation::TooManyFragments { count_max: fragment_count_max });
        }
        Ok(())
    }

    /// What inflates a frame of this opcode, if it belongs to a compressed message.
    fn inflating(&mut self, opcode: Opcode) -> Option<&mut Inflating> {
        let message = self.begun.as_mut().filter(|_| !opcode.is_control())?;
        message.inflating.as_mut()
    }

    /// Unmasks and checks what has come of the payload.
    fn continue_frame(&mut self, header: Header, ready_bytes: usize) -> Result<Step, Violation> {
        if self.inflating(header.opcode).is_some() {
            return self.continue_compressed(header);
        }
        let here_bytes = header.payload_bytes.min(self.input.len());
        let is_complete = here_bytes == header.payload_bytes;
        // A whole message is checked once, when it becomes a `Text`. Everything else is checked as it comes, and again
        // then: the price of refusing at the first wrong byte.
        let is_whole_message =
            is_complete && ready_bytes == 0 && header.is_final && header.opcode == Opcode::Text;
        let is_checked_now = self.is_text(header.opcode) && !is_whole_message;

        let fresh = self.input.get_mut(ready_bytes..here_bytes).unwrap_or_default();
        mask::apply(mask::key_at(header.mask, ready_bytes), fresh);
        if is_checked_now {
            self.text_check.push(fresh).map_err(|_invalid| Violation::NotUtf8)?;
        }
        if !is_complete {
            self.state = State::Payload { header, ready_bytes: here_bytes };
            return Ok(Step::NeedInput);
        }
        let payload = self.split_payload(header.payload_bytes);
        self.state = State::Header;
        self.end_frame(header, payload)
    }

    /// Unmasks, inflates and checks what has come of the payload, which then is no input any more.
    fn continue_compressed(&mut self, mut header: Header) -> Result<Step, Violation> {
        let Some(mut message) = self.begun.take() else { return Err(Violation::UnexpectedContinuation) };
        let here_bytes = header.payload_bytes.min(self.input.len());
        let fresh = self.input.get_mut(..here_bytes).unwrap_or_default();
        mask::apply(header.mask, fresh);
        message.inflate(fresh, &mut self.text_check, self.limits.message_bytes_max)?;
        self.input.advance(here_bytes);
        header.mask = mask::key_at(header.mask, here_bytes);
        header.payload_bytes -= here_bytes;
        if header.payload_bytes > 0 {
            self.begun = Some(message);
            self.state = State::Payload { header, ready_bytes: 0 };
            return Ok(Step::NeedInput);
        }
        self.state = State::Header;
        if header.is_final {
            message.end_inflating(&mut self.text_check, self.limits.message_bytes_max)?;
            return finish(message.kind, message.payload.into());
        }
        message.frame_count += 1;
        self.begun = Some(message);
        Ok(Step::Continue)
    }

    /// Whether a frame of this opcode carries text, on its own or as a part of the message under way.
    fn is_text(&self, opcode: Opcode) -> bool {
        match opcode {
            Opcode::Text => true,
            Opcode::Continuation => self.begun.as_ref().is_some_and(|message| message.kind == Kind::Text),
            Opcode::Binary | Opcode::Close | Opcode::Ping | Opcode::Pong => false,
        }
    }

    /// Takes a complete payload off the input.
    fn split_payload(&mut self, payload_bytes: usize) -> BytesMut {
        if self.input.len() == payload_bytes {
            return mem::take(&mut self.input);
        }
        if payload_bytes == 0 {
            return BytesMut::new();
        }
        let payload = self.input.split_to(payload_bytes);
        if payload_bytes >= BIG_MESSAGE_BYTES_MIN && self.input.len() <= REMAINDER_MOVED_BYTES_MAX {
            self.input = BytesMut::from(self.input.as_ref());
        }
        payload
    }

    fn end_frame(&mut self, header: Header, payload: BytesMut) -> Result<Step, Violation> {
        match header.opcode {
            Opcode::Text => self.end_data(Kind::Text, header, payload),
            Opcode::Binary => self.end_data(Kind::Binary, header, payload),
            Opcode::Continuation => self.end_continuation(header, &payload),
            Opcode::Ping => Ok(Step::Message(Message::Ping(payload.freeze()))),
            Opcode::Pong => Ok(Step::Message(Message::Pong(payload.freeze()))),
            Opcode::Close => {
                let frame = close::parse(payload.freeze())?;
                self.begun = None;
                self.state = State::Closed;
                Ok(Step::Message(Message::Close(frame)))
            }
        }
    }

    /// The first frame of a message.
    fn end_data(&mut self, kind: Kind, header: Header, payload: BytesMut) -> Result<Step, Violation> {
        if header.is_final {
            return finish(kind, payload.freeze());
        }
        // A copy, because the fragment may lie in memory that it shares with the frames after it.
        let payload = Vec::from(payload.as_ref());
        self.begun = Some(Box::new(Begun { kind, payload, frame_count: 1, inflating: None }));
        Ok(Step::Continue)
    }

    fn end_continuation(&mut self, header: Header, payload: &[u8]) -> Result<Step, Violation> {
        let Some(mut message) = self.begun.take() else { return Err(Violation::UnexpectedContinuation) };
        message.payload.extend_from_slice(payload);
        message.frame_count += 1;
        if header.is_final {
            return finish(message.kind, message.payload.into());
        }
        self.begun = Some(message);
        Ok(Step::Continue)
    }
}

// === impl Begun ===

impl Begun {
    /// Takes further bytes of a compressed message.
    fn inflate(&mut self, bytes: &[u8], check: &mut Utf8Check, bytes_max: usize) -> Result<(), Violation> {
        let checked_bytes = self.payload.len();
        let Some(inflating) = &mut self.inflating else { return Ok(()) };
        let outcome = inflating.push(bytes, &mut self.payload, bytes_max);
        self.check(checked_bytes, bytes_max, check)?;
        outcome
    }

    /// Takes the end of a compressed message.
    fn end_inflating(&mut self, check: &mut Utf8Check, bytes_max: usize) -> Result<(), Violation> {
        let checked_bytes = self.payload.len();
        let Some(inflating) = self.inflating.take() else { return Ok(()) };
        let outcome = inflating.finish(&mut self.payload, bytes_max);
        self.check(checked_bytes, bytes_max, check)?;
        outcome
    }

    /// Checks what was inflated, if it is text. Wrong text is told before what is wrong behind it, so that it does not
    /// matter how the bytes came.
    fn check(&self, checked_bytes: usize, bytes_max: usize, check: &mut Utf8Check) -> Result<(), Violation> {
        match self.kind {
            Kind::Text => {
                let end = self.payload.len().min(bytes_max);
                let fresh = self.payload.get(checked_bytes..end).unwrap_or_default();
                check.push(fresh).map_err(|_invalid| Violation::NotUtf8)
            }
            Kind::Binary => Ok(()),
        }
    }
}

/// Makes a message of its whole payload.
fn finish(kind: Kind, payload: Bytes) -> Result<Step, Violation> {
    let message = match kind {
        Kind::Text => Message::Text(Text::try_from(payload).map_err(|_error| Violation::NotUtf8)?),
        Kind::Binary => Message::Binary(payload),
    };
    Ok(Step::Message(message))
}

#[cfg(test)]
mod tests;
