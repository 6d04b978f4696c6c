use proptest::prelude::*;

use super::*;

/// A header of version 2.
fn v2_bytes(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = V2_SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn client_in(bytes: &[u8]) -> Result<Option<String>, InvalidHeader> {
    match parse(bytes)? {
        Parsed::Complete(Header { client, bytes: length }) => {
            assert_eq!(length, bytes.len());
            Ok(client.map(|client| client.to_string()))
        }
        Parsed::Incomplete { missing_bytes } => panic!("{missing_bytes} bytes missing of {bytes:?}"),
    }
}

const TCP4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0x01, 0xBB];

#[test]
fn both_versions_name_the_client() {
    let tcp6: Vec<u8> = [
        Ipv6Addr::from([0x2001, 0xDB8, 0, 0, 0, 0, 0, 7]).octets().as_slice(),
        Ipv6Addr::LOCALHOST.octets().as_slice(),
        [0x30, 0x39, 0x01, 0xBB].as_slice(),
    ]
    .concat();
    let with_extensions = [TCP4.as_slice(), &[0x04, 0, 1, 0]].concat();
    let table: [(Vec<u8>, Option<&str>); 10] = [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n".to_vec(), Some("192.0.2.7:12345")),
        (b"PROXY TCP6 2001:db8::7 ::1 12345 443\r\n".to_vec(), Some("[2001:db8::7]:12345")),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 0 443\r\n".to_vec(), Some("192.0.2.7:0")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN whatever it is 1 2\r\n".to_vec(), None),
        (v2_bytes(0x21, 0x11, &TCP4), Some("192.0.2.7:12345")),
        (v2_bytes(0x21, 0x11, &with_extensions), Some("192.0.2.7:12345")),
        (v2_bytes(0x21, 0x21, &tcp6), Some("[2001:db8::7]:12345")),
        (v2_bytes(0x20, 0x11, &TCP4), None),
        (v2_bytes(0x21, 0x00, b"anything"), None),
    ];
    for (bytes, client) in table {
        assert_eq!(client_in(&bytes), Ok(client.map(str::to_owned)), "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_is_no_header_is_refused_as_soon_as_that_is_certain() {
    let table: [(Vec<u8>, InvalidHeader); 20] = [
        (b"G".to_vec(), InvalidHeader::NoHeader),
        (vec![0x16, 3, 1], InvalidHeader::NoHeader),
        (b"PROXZ".to_vec(), InvalidHeader::NoHeader),
        (b"\r\n\r\n\0\r\nQUIT!".to_vec(), InvalidHeader::NoHeader),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\n".to_vec(), InvalidHeader::V1),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 12345\r\n".to_vec(), InvalidHeader::V1),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443 1\r\n".to_vec(), InvalidHeader::V1),
        (b"PROXY TCP4 2001:db8::7 ::1 12345 443\r\n".to_vec(), InvalidHeader::V1),
        (b"PROXY TCP6 192.0.2.7 10.0.0.1 12345 443\r\n".to_vec(), InvalidHeader::V1),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n".to_vec(), InvalidHeader::V1),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 +1 443\r\n".to_vec(), InvalidHeader::V1),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 012 443\r\n".to_vec(), InvalidHeader::V1),
        (b"PROXY  TCP4 192.0.2.7 10.0.0.1 1 443\r\n".to_vec(), InvalidHeader::V1),
        (b"PROXY tcp4 192.0.2.7 10.0.0.1 1 443\r\n".to_vec(), InvalidHeader::V1),
        ([b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 93]].concat(), InvalidHeader::TooLong),
        ([b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 92], b"\r\n".to_vec()].concat(), InvalidHeader::TooLong),
        (v2_bytes(0x11, 0x11, &TCP4), InvalidHeader::V2),
        (v2_bytes(0x21, 0x12, &TCP4), InvalidHeader::V2),
        (v2_bytes(0x21, 0x11, &TCP4[..11]), InvalidHeader::V2),
        (v2_bytes(0x21, 0x11, &[0; V2_BYTES_MAX]), InvalidHeader::TooLong),
    ];
    for (bytes, error) in table {
        assert_eq!(parse(&bytes), Err(error), "{}", bytes.escape_ascii());
    }
}

/// Reads as the server does: never more than is certainly missing.
fn read_step_by_step(stream: &[u8]) -> Result<Header, InvalidHeader> {
    let mut have = 0;
    loop {
        match parse(&stream[..have])? {
            Parsed::Complete(header) => return Ok(header),
            Parsed::Incomplete { missing_bytes } => {
                assert!(missing_bytes > 0 && have + missing_bytes <= V2_BYTES_MAX);
                have += missing_bytes;
            }
        }
        assert!(have <= stream.len(), "what comes after the header would be read");
    }
}

#[test]
fn the_shortest_headers_are_read_without_a_byte_too_many() {
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2_bytes(0x20, 0, &[])] {
        assert_eq!(read_step_by_step(&header), Ok(Header { client: None, bytes: header.len() }));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        parse(&bytes).ok();
        parse(&[V2_SIGNATURE.as_slice(), &bytes].concat()).ok();
        parse(&[V1_BEGINNING, &bytes].concat()).ok();
    }

    #[test]
    fn read_step_by_step_nothing_of_the_client_is_swallowed(
        source: SocketAddr, destination: SocketAddr, after in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        // Both of one family, and no scope or flow: these are not on the wire.
        let destination = match source { SocketAddr::V4(_) => "10.0.0.1:443".parse().unwrap(), SocketAddr::V6(_) => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), destination.port()) };
        let (word, family) = if source.is_ipv4() { ("TCP4", 0x11) } else { ("TCP6", 0x21) };
        let v1 = format!("PROXY {word} {} {} {} {}\r\n", source.ip(), destination.ip(), source.port(), destination.port());
        let octets = |address: IpAddr| match address { IpAddr::V4(it) => it.octets().to_vec(), IpAddr::V6(it) => it.octets().to_vec() };
        let body = [octets(source.ip()), octets(destination.ip()), source.port().to_be_bytes().to_vec(), destination.port().to_be_bytes().to_vec()].concat();
        for header in [v1.into_bytes(), v2_bytes(0x21, family, &body)] {
            let stream = [header.clone(), after.clone()].concat();
            let read = read_step_by_step(&stream).unwrap();
            prop_assert_eq!(read.bytes, header.len());
            prop_assert_eq!(read.client, Some(SocketAddr::new(source.ip().to_canonical(), source.port())));
        }
    }
}
