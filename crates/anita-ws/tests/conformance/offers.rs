//! Offers of compression (RFC 7692 sections 5.1 and 7.1): every combination of parameters, with every kind of value.

use crate::peer::{REQUEST, agreed_on, connected, echo_over_tcp, read_head, say};

/// The forms of a parameter without a value: what stands in the offer, and whether it may.
const FLAG: [(&str, bool); 4] = [("", true), ("NAME", true), ("NAME=1", false), ("NAME; NAME", false)];

/// The forms of `server_max_window_bits`, and the window that is asked for.
const SERVER_BITS: [(&str, Option<u8>); 17] = [
    ("NAME", None),
    ("NAME=", None),
    ("NAME=\"\"", None),
    ("NAME=0", None),
    ("NAME=7", None),
    // Allowed, and declined, as section 7.1.2.1 lets a server do.
    ("NAME=8", None),
    ("NAME=9", Some(9)),
    ("NAME=10", Some(10)),
    ("NAME=\"12\"", Some(12)),
    ("NAME=15", Some(15)),
    ("NAME=16", None),
    ("NAME=015", None),
    ("NAME=-9", None),
    ("NAME=9.0", None),
    ("NAME=256", None),
    ("NAME=10; NAME=10", None),
    ("NAME=99999999999999999999", None),
];

/// The forms of `client_max_window_bits`, and whether they may be.
const CLIENT_BITS: [(&str, bool); 13] = [
    ("", true),
    ("NAME", true),
    ("NAME=8", true),
    ("NAME=9", true),
    ("NAME=\"10\"", true),
    ("NAME=15", true),
    ("NAME=", false),
    ("NAME=7", false),
    ("NAME=16", false),
    ("NAME=x", false),
    ("NAME=08", false),
    ("NAME; NAME", false),
    ("NAME; NAME=10", false),
];

/// Every combination: the parameters, and the window for an offer that is taken (0: none was asked for).
fn combinations() -> Vec<(Vec<String>, Option<u8>)> {
    let mut combinations = Vec::new();
    let server_bits = SERVER_BITS.iter().map(|&(form, bits)| (form, bits)).chain([("", Some(0))]);
    for (server_form, bits) in server_bits {
        for (client_form, is_client_fine) in CLIENT_BITS {
            for (server_flag, is_server_flag_fine) in FLAG {
                for (client_flag, is_client_flag_fine) in FLAG {
                    let parameters = [
                        server_flag.replace("NAME", "server_no_context_takeover"),
                        client_flag.replace("NAME", "client_no_context_takeover"),
                        server_form.replace("NAME", "server_max_window_bits"),
                        client_form.replace("NAME", "client_max_window_bits"),
                    ];
                    let is_fine = is_client_fine && is_server_flag_fine && is_client_flag_fine;
                    let parameters = parameters.into_iter().filter(|it| !it.is_empty()).collect();
                    combinations.push((parameters, bits.filter(|_| is_fine)));
                }
            }
        }
    }
    combinations
}

/// The confirmation that belongs to a window.
fn confirmation(bits: u8) -> String {
    let rest = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    if bits == 0 { rest.to_owned() } else { format!("{rest}; server_max_window_bits={bits}") }
}

#[test]
fn every_combination_of_parameters_is_taken_or_declined_as_the_table_says() {
    let combinations = combinations();
    assert!(combinations.iter().filter(|(_, bits)| bits.is_some()).count() > 100);
    for (mut parameters, bits) in combinations {
        // Their order means nothing.
        for _order in 0..2 {
            let mut words = vec!["permessage-deflate".to_owned()];
            words.extend(parameters.iter().cloned());
            let offer = words.join("; ");
            let confirmed = agreed_on(&offer).map(|(_agreed, confirmed)| confirmed);
            assert_eq!(confirmed, bits.map(confirmation), "{offer}");
            // The next offer is taken where this one is not (section 5.1), and only there.
            let two = format!("{offer}, permessage-deflate; server_max_window_bits=11");
            let confirmed = agreed_on(&two).map(|(_agreed, confirmed)| confirmed);
            assert_eq!(confirmed, Some(confirmation(bits.unwrap_or(11))), "{two}");
            parameters.reverse();
        }
    }
}

#[test]
fn what_is_no_offer_of_this_extension_is_left_alone() {
    let declined = [
        "",
        ",",
        "x-webkit-deflate-frame",
        "permessage-deflate2",
        "permessage",
        "Permessage-Deflate",
        "permessage-deflate; unknown_parameter",
        "permessage-deflate; server_max_window_bits=10; unknown=1",
        "permessage-deflate; mux",
        "permessage-bzip2, permessage-snappy",
        "\"permessage-deflate\"",
        "x; y=\"permessage-deflate\"",
        "x; y=\", permessage-deflate, \"",
    ];
    for offer in declined {
        assert_eq!(agreed_on(offer).map(|(_agreed, confirmed)| confirmed), None, "{offer}");
    }
    let taken = [
        ("x-webkit-deflate-frame, permessage-deflate", 0),
        ("permessage-deflate; unknown, permessage-deflate; server_max_window_bits=8, permessage-deflate", 0),
        ("mux; max-channels=4; flow-control, permessage-deflate;server_max_window_bits=9", 9),
        (" \tpermessage-deflate\t;  server_max_window_bits  =  \"13\"\t", 13),
    ];
    for (offer, bits) in taken {
        let confirmed = agreed_on(offer).map(|(_agreed, confirmed)| confirmed);
        assert_eq!(confirmed, Some(confirmation(bits)), "{offer}");
    }
}

#[tokio::test]
async fn over_tcp_each_row_is_confirmed_in_the_answer_or_left_out_of_it() {
    let address = echo_over_tcp(anita_ws::Limits::default()).await;
    let rows: [(&[&str], Option<u8>); 7] = [
        (&[], None),
        (&["permessage-deflate"], Some(0)),
        (&["permessage-deflate; client_max_window_bits"], Some(0)),
        (&["permessage-deflate; server_max_window_bits=10; client_max_window_bits=9"], Some(10)),
        (&["permessage-deflate; server_max_window_bits=8"], None),
        // One list over two lines.
        (&["permessage-deflate; wrong", "permessage-deflate; server_max_window_bits=12"], Some(12)),
        (&["permessage-deflate; client_max_window_bits; client_max_window_bits"], None),
    ];
    for (offers, bits) in rows {
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut lines: Vec<String> = REQUEST.map(str::to_owned).to_vec();
        lines.extend(offers.iter().map(|offer| format!("sec-websocket-extensions: {offer}")));
        say(&mut client, format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes()).await;
        let head = read_head(&mut client).await;
        let confirmed = head.lines().find_map(|line| line.strip_prefix("sec-websocket-extensions: "));
        assert_eq!(confirmed.map(str::to_owned), bits.map(confirmation), "{offers:?}");
    }
    // What was confirmed is in force.
    let mut client = connected(address, Some("permessage-deflate; server_max_window_bits=10")).await;
    say(&mut client, &crate::peer::raw(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00])).await;
    assert_eq!(crate::peer::hear(&mut client).await.unwrap().payload, b"Hello");
}
