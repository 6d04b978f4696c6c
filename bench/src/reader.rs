//! What one connection hears: frames are told apart by their first bytes, and only those are kept that somebody wants.

use crate::ws::{Head, KINDS, Kind, PREFIX_BYTES};

/// What of the frames is wanted whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listen {
    /// Nothing: frames are counted.
    Count,
    /// What has no positions, snapshots apart.
    Words,
    /// Everything but snapshots.
    All,
}

/// What was heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    frames: [u64; KINDS],
    /// Frames with positions.
    pub(crate) position_frames: u64,
    /// Bytes of them, headers included.
    pub(crate) position_bytes: u64,
    /// Bytes of all.
    pub(crate) bytes: u64,
}

impl Tally {
    pub(crate) fn frames(&self, kind: Kind) -> u64 {
        self.frames.get(kind as usize).copied().unwrap_or(0)
    }

    /// Adds what one client heard since `before`.
    pub(crate) fn add(&mut self, now: &Self, before: &Self) {
        if now.bytes == before.bytes {
            return;
        }
        for ((sum, now), before) in self.frames.iter_mut().zip(now.frames).zip(before.frames) {
            *sum += now - before;
        }
        self.position_frames += now.position_frames - before.position_frames;
        self.position_bytes += now.position_bytes - before.position_bytes;
        self.bytes += now.bytes - before.bytes;
    }

    fn count(&mut self, kind: Kind, frame_bytes: u64) {
        if let Some(count) = self.frames.get_mut(kind as usize) {
            *count += 1;
        }
        self.bytes += frame_bytes;
        if kind.has_positions() {
            self.position_frames += 1;
            self.position_bytes += frame_bytes;
        }
    }
}

/// Who is told of a message that is wanted whole: its kind and its payload.
pub(crate) type Hear<'a> = &'a mut dyn FnMut(Kind, &[u8]);

/// The reading half of a connection.
#[derive(Debug)]
pub(crate) struct Reader {
    listen: Listen,
    /// The beginning of a frame whose rest has not arrived.
    stash: Vec<u8>,
    /// The payload of a frame that is wanted whole.
    body: Vec<u8>,
    is_wanted: bool,
    kind: Kind,
    frame_bytes: u64,
    left: u64,
}

impl Reader {
    pub(crate) fn new(listen: Listen) -> Self {
        Self {
            listen,
            stash: Vec::new(),
            body: Vec::new(),
            is_wanted: false,
            kind: Kind::Other,
            frame_bytes: 0,
            left: 0,
        }
    }

    /// How many bytes may be thrown away unread.
    pub(crate) fn unwanted_bytes(&self) -> usize {
        if self.is_wanted { 0 } else { self.left as usize }
    }

    /// So many bytes were thrown away.
    pub(crate) fn skipped(&mut self, bytes: usize, tally: &mut Tally) {
        self.left = self.left.saturating_sub(bytes as u64);
        if self.left == 0 {
            tally.count(self.kind, self.frame_bytes);
        }
    }

    /// Takes what arrived.
    pub(crate) fn feed(&mut self, mut data: &[u8], tally: &mut Tally, listener: Hear<'_>) {
        while !data.is_empty() {
            if self.left > 0 {
                let (payload, rest) = data.split_at(data.len().min(self.left as usize));
                data = rest;
                self.payload(payload, tally, listener);
            } else if self.stash.is_empty() {
                let Some(head) = Self::begin(data) else {
                    self.stash.extend_from_slice(data);
                    return;
                };
                let (header, rest) = data.split_at(head.header_len);
                data = rest;
                self.begun(head, header.len(), data, tally, listener);
            } else {
                data = self.feed_stash(data, tally, listener);
            }
        }
    }

    /// The header, once the bytes that tell what it is are there too.
    fn begin(data: &[u8]) -> Option<Head> {
        let head = Head::parse(data)?;
        let prefix_len = head.payload_len.min(PREFIX_BYTES as u64) as usize;
        (data.len() >= head.header_len + prefix_len).then_some(head)
    }

    /// Completes the beginning of a frame byte by byte as needed, and returns the rest.
    fn feed_stash<'a>(&mut self, mut data: &'a [u8], tally: &mut Tally, listener: Hear<'_>) -> &'a [u8] {
        loop {
            if let Some(head) = Self::begin(&self.stash) {
                let stash = std::mem::take(&mut self.stash);
                let (header, prefix) = stash.split_at(head.header_len);
                self.begun(head, header.len(), prefix, tally, listener);
                if !prefix.is_empty() {
                    self.payload(prefix, tally, listener);
                }
                return data;
            }
            let needed = match Head::parse(&self.stash) {
                None => Head::bytes_needed(&self.stash),
                Some(head) => head.header_len + head.payload_len.min(PREFIX_BYTES as u64) as usize,
            };
            let missing = needed.saturating_sub(self.stash.len()).max(1);
            let (more, rest) = data.split_at(missing.min(data.len()));
            if more.is_empty() {
                return data;
            }
            self.stash.extend_from_slice(more);
            data = rest;
        }
    }

    /// A frame begins; `payload` is at least the part of it that tells what it is.
    fn begun(
        &mut self,
        head: Head,
        header_len: usize,
        payload: &[u8],
        tally: &mut Tally,
        listener: Hear<'_>,
    ) {
        let prefix_len = head.payload_len.min(PREFIX_BYTES as u64) as usize;
        self.kind = Kind::of(head, payload.get(..prefix_len).unwrap_or_default());
        self.frame_bytes = header_len as u64 + head.payload_len;
        self.left = head.payload_len;
        self.is_wanted = match self.listen {
            Listen::Count => false,
            Listen::Words => !self.kind.has_positions() && self.kind != Kind::Snapshot,
            Listen::All => !matches!(self.kind, Kind::Snapshot | Kind::Deflated),
        };
        if self.left == 0 {
            self.ended(&[], tally, listener);
        }
    }

    fn payload(&mut self, bytes: &[u8], tally: &mut Tally, listener: Hear<'_>) {
        self.left -= bytes.len() as u64;
        if self.left > 0 {
            if self.is_wanted {
                self.body.extend_from_slice(bytes);
            }
        } else if self.body.is_empty() {
            self.ended(bytes, tally, listener);
        } else {
            self.body.extend_from_slice(bytes);
            let mut body = std::mem::take(&mut self.body);
            self.ended(&body, tally, listener);
            body.clear();
            self.body = body;
        }
    }

    fn ended(&mut self, payload: &[u8], tally: &mut Tally, listener: Hear<'_>) {
        tally.count(self.kind, self.frame_bytes);
        if self.is_wanted {
            listener(self.kind, payload);
        }
        self.is_wanted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Vec<u8> {
        let mut frame = vec![0x81, 126];
        frame.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(text.as_bytes());
        frame
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_frames() {
        let batch = format!(r#"{{"type":"uwb.position_update","payload":{{"x":"{}"}}}}"#, "y".repeat(300));
        let texts = [batch.as_str(), r#"{"type":"room.joined"}"#, r#"{"type":"uwb.location","payload":{}}"#];
        let stream: Vec<u8> = texts.iter().cycle().take(9).flat_map(|text| frame(text)).collect();
        for step in 1..stream.len() {
            for listen in [Listen::Count, Listen::Words, Listen::All] {
                let (mut reader, mut tally, mut heard) = (Reader::new(listen), Tally::default(), Vec::new());
                for part in stream.chunks(step) {
                    reader.feed(part, &mut tally, &mut |kind, body| heard.push((kind, body.to_vec())));
                }
                assert_eq!((tally.position_frames, tally.frames(Kind::Joined)), (6, 3), "{step}");
                assert_eq!(tally.bytes, stream.len() as u64);
                let wanted = [(Listen::Count, 0), (Listen::Words, 3), (Listen::All, 9)];
                assert!(wanted.contains(&(listen, heard.len())), "{listen:?} {step}");
                if listen == Listen::All {
                    assert_eq!(heard[0], (Kind::Batch, batch.clone().into_bytes()));
                }
            }
        }
    }

    #[test]
    fn what_nobody_wants_can_be_thrown_away() {
        let (mut reader, mut tally) = (Reader::new(Listen::Count), Tally::default());
        let stream = frame(&"z".repeat(1_000));
        reader.feed(&stream[..100], &mut tally, &mut |_, _| ());
        assert_eq!(reader.unwanted_bytes(), stream.len() - 100);
        reader.skipped(stream.len() - 100, &mut tally);
        assert_eq!((tally.bytes, reader.unwanted_bytes()), (stream.len() as u64, 0));
    }
}
