use std::os::unix::fs::PermissionsExt as _;

use anita_model::Timestamp;

use super::super::{AuditRecord, Chain, Verification, Whole};
use super::*;

fn record(n: u64) -> AuditRecord {
    AuditRecord {
        at: Timestamp::from_micros(n.cast_signed()).unwrap(),
        subject: "alice".to_owned(),
        issuer: None,
        action: "act".to_owned(),
        object: n.to_string(),
        outcome: "done".to_owned(),
        address: None,
    }
}

struct Folder {
    place: tempfile::TempDir,
    chain: Chain,
    count: u64,
}

impl Folder {
    fn new() -> Self {
        Self { place: tempfile::tempdir().unwrap(), chain: Chain::default(), count: 0 }
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("audit.ndjson")
    }

    fn open(&self, bytes_max: u64, files_max: usize) -> AuditFile {
        AuditFile::open(AuditFileSettings { path: self.path(), bytes_max, files_max }).unwrap()
    }

    fn next(&mut self, count: u64) -> Vec<AuditEntry> {
        let first = self.count + 1;
        self.count += count;
        (first..=self.count).map(|n| self.chain.add(record(n))).collect()
    }

    fn verify(&self) -> Whole {
        let mut verification = Verification::of_files([]);
        for path in files_of(&self.path()) {
            each_line(&path, |_number, line| {
                verification.step_line(AuditLine::parse(line).unwrap()).unwrap();
                Ok::<(), io::Error>(())
            })
            .unwrap();
        }
        verification.finish().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.place.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn append(file: &mut AuditFile, entries: &[AuditEntry]) {
    let (written, error) = file.append(entries);
    assert!(error.is_none() && written == entries.len(), "{error:?}");
}

#[test]
fn the_chain_goes_on_over_files_and_the_oldest_goes() {
    let mut folder = Folder::new();
    let mut file = folder.open(1_000, 3);
    append(&mut file, &folder.next(3));
    assert_eq!(folder.names(), ["audit.ndjson"]);
    append(&mut file, &folder.next(2));
    append(&mut file, &folder.next(40));
    assert_eq!(folder.names(), ["audit.ndjson", "audit.ndjson.1", "audit.ndjson.2"]);
    for name in folder.names() {
        let metadata = fs::metadata(folder.place.path().join(&name)).unwrap();
        assert!(metadata.len() <= 1_000, "{name}");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    let whole = folder.verify();
    assert_eq!(whole.head, folder.chain.head());
    assert!(whole.first.unwrap() > 1 && whole.entries > 6, "{whole:?}");
    // A new file that is still empty knows of the one before.
    file.rotate().unwrap();
    drop(file);
    let mut file = folder.open(1_000, 3);
    assert_eq!((file.head(), file.end()), (None, folder.chain.head()));
    append(&mut file, &folder.next(1));
    assert_eq!(folder.verify().head, folder.chain.head());
    // Over a restart, and with fewer files than there were.
    drop(file);
    let mut file = folder.open(1_000, 2);
    assert_eq!(file.head(), folder.chain.head());
    append(&mut file, &folder.next(20));
    assert_eq!(folder.names(), ["audit.ndjson", "audit.ndjson.1"]);
    assert_eq!(folder.verify().head, folder.chain.head());
    drop(file);
    let mut file = folder.open(1_000, 1);
    append(&mut file, &folder.next(20));
    assert_eq!(folder.names(), ["audit.ndjson"]);
    assert_eq!(folder.verify().head, folder.chain.head());
}

#[test]
fn where_no_new_file_can_be_made_none_is_moved_and_none_goes() {
    let mut folder = Folder::new();
    let mut file = folder.open(1_000, 3);
    append(&mut file, &folder.next(12));
    let before = folder.names();
    assert_eq!(before.len(), 3);
    let contents = || before.iter().map(|name| fs::read(folder.place.path().join(name)).unwrap());
    let (bytes, in_the_way) = (contents().collect::<Vec<_>>(), folder.place.path().join("audit.ndjson.new"));
    // Not even root can open a folder as a file.
    fs::create_dir(&in_the_way).unwrap();
    for _try in 0..5 {
        assert!(file.rotate().is_err());
    }
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!((folder.names(), contents().collect::<Vec<_>>()), (before.clone(), bytes));
    let head = folder.chain.head();
    append(&mut file, &folder.next(1));
    assert_ne!(folder.verify().head, head);
    assert_eq!(folder.verify().head, folder.chain.head());
}

#[test]
fn a_line_that_a_crash_tore_is_cut_off_wherever_it_was_torn() {
    let mut folder = Folder::new();
    append(&mut folder.open(1_000_000, 2), &folder.next(2));
    let two = fs::read(folder.path()).unwrap();
    let third = folder.next(1);
    append(&mut folder.open(1_000_000, 2), &third);
    let three = fs::read(folder.path()).unwrap();
    for length in two.len()..three.len() {
        fs::write(folder.path(), &three[..length]).unwrap();
        let mut file = folder.open(1_000_000, 2);
        assert_eq!(file.head().unwrap().seq, 2);
        append(&mut file, &third);
        assert_eq!(fs::read(folder.path()).unwrap(), three);
    }
    fs::write(folder.path(), &two[..10]).unwrap();
    let file = folder.open(1_000_000, 2);
    assert_eq!((file.head(), fs::metadata(folder.path()).unwrap().len()), (None, 0));
}

#[test]
fn a_file_of_somebody_else_is_put_aside() {
    let folder = Folder::new();
    fs::write(folder.path(), "hello\n").unwrap();
    let file = folder.open(1_000_000, 2);
    assert_eq!(
        (file.head(), folder.names()),
        (None, vec!["audit.ndjson".to_owned(), "audit.ndjson.1".to_owned()])
    );
}

/// Each alone and all together; what is no text at all can't be in a line that is taken.
#[test]
fn texts_of_all_kinds_are_one_line_each_and_come_back_from_the_file() {
    let plain = (0..=0xa0_u32).chain([0xad, 0x200b, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e]);
    let odd = plain.chain([0x2066, 0x2069, 0xd7ff, 0xe000, 0xfeff, 0xfffd, 0xffff, 0x1_f600, 0x10_ffff]);
    let odd: Vec<char> = odd.map(|code| char::from_u32(code).unwrap()).collect();
    let texts = odd.iter().map(|it| format!("a{it}b")).chain([
        odd.iter().collect(),
        "\\u0022,\"hash\":\"".to_owned(),
        "\"}\r\n{\"at\":".to_owned(),
        "\\ud800\\udc00".to_owned(),
        "\\".to_owned(),
    ]);
    let records: Vec<AuditRecord> = texts
        .map(|text| AuditRecord {
            subject: text.clone(),
            issuer: Some(text.clone()),
            address: Some(text.clone()),
            object: text,
            ..record(1)
        })
        .collect();
    let folder = Folder::new();
    let mut chain = Chain::default();
    let entries: Vec<AuditEntry> = records.iter().map(|record| chain.add(record.clone())).collect();
    append(&mut folder.open(10_000_000, 2), &entries);
    let text = fs::read_to_string(folder.path()).unwrap();
    assert_eq!(text.matches('\n').count(), records.len());
    let is_special =
        |it: char| (it.is_control() && it != '\n') || matches!(it, '\u{2028}'..='\u{202e}' | '\u{feff}');
    assert!(!text.contains(is_special));
    let mut found = Vec::new();
    each_line(&folder.path(), |_number, line| {
        found.push(AuditLine::parse(line).unwrap().record);
        Ok::<(), io::Error>(())
    })
    .unwrap();
    assert_eq!(found, records);
    assert_eq!((folder.verify().head, folder.verify().entries), (chain.head(), records.len() as u64));
    // Half of a pair is no character, and another way to write one is not ours.
    let first = text.lines().find(|line| line.contains("\"subject\":\"a!b\"")).unwrap();
    for (written, what) in [("\\ud800", "no entry"), ("\\udfff", "no entry"), ("\\u0021", "not written as")] {
        let changed = first.replacen('!', written, 1);
        let refused = AuditLine::parse(&changed).unwrap_err().to_string();
        assert!(refused.contains(what), "{written}: {refused}");
    }
}

#[test]
fn two_do_not_write_one_file() {
    let mut folder = Folder::new();
    let mut file = folder.open(1_000, 2);
    append(&mut file, &folder.next(20));
    let settings = AuditFileSettings { path: folder.path(), bytes_max: 1_000, files_max: 2 };
    assert_eq!(AuditFile::open(settings).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

/// A disk that is full has to be a device here: `/dev/full` refuses every write.
#[test]
fn what_could_not_be_written_is_told_and_the_next_line_says_what_was_before_it() {
    let mut folder = Folder::new();
    let mut file = folder.open(1_000_000, 2);
    append(&mut file, &folder.next(2));
    let good = std::mem::replace(&mut file.file, OpenOptions::new().write(true).open("/dev/full").unwrap());
    let (written, error) = file.append(&folder.next(3));
    assert_eq!((written, error.unwrap().kind()), (0, io::ErrorKind::StorageFull));
    file.file = good;
    append(&mut file, &folder.next(1));
    drop(file);
    let text = fs::read_to_string(folder.path()).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.lines().next_back().unwrap().contains("\"previous\""));
    let mut verification = Verification::of_files([]);
    text.lines().for_each(|line| verification.step_line(AuditLine::parse(line).unwrap()).unwrap());
    assert!(verification.finish().unwrap_err().to_string().contains("3 entries are missing between 2 and 6"));
}

#[test]
fn a_line_that_is_too_long_is_an_error_and_not_read() {
    let folder = Folder::new();
    fs::write(folder.path(), "x".repeat(10 * LINE_BYTES_MAX)).unwrap();
    let read = each_line(&folder.path(), |_number, _line| Ok::<(), io::Error>(()));
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
}
