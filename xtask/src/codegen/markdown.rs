//! The generated tables of the documents, between `<!-- generated: errors -->` and `<!-- end -->`.

use anita_metrics::Metrics;
use anita_wire::schema::Catalogue;
use anita_wire::{Advice, CloseCode, ErrorCode, limits};

const OPENING: &str = "<!-- generated: ";
const CLOSING: &str = " -->";
const END: &str = "<!-- end -->";

/// The document with every generated table made anew.
///
/// # Errors
/// A marker that has no end, or a table that nobody makes.
pub(super) fn fill(document: &str, catalogue: &Catalogue) -> Result<String, String> {
    let mut filled = String::with_capacity(document.len());
    let mut rest = document;
    while let Some((before, after)) = rest.split_once(OPENING) {
        let (name, after) = after.split_once(CLOSING).ok_or("a marker that is not closed")?;
        let (_old, after) = after.split_once(END).ok_or_else(|| format!("no {END} after {name}"))?;
        let table = table(name, catalogue).ok_or_else(|| {
            format!("no table {name:?}; there are errors, close-codes, requests, messages, limits, metrics")
        })?;
        filled.push_str(before);
        filled.extend([OPENING, name, CLOSING, "\n\n", &table, "\n", END]);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn table(name: &str, catalogue: &Catalogue) -> Option<String> {
    match name {
        "errors" => Some(errors()),
        "close-codes" => Some(close_codes()),
        "requests" => Some(requests(catalogue)),
        "messages" => Some(messages(catalogue)),
        "limits" => Some(limit_table()),
        "metrics" => Some(metric_table()),
        _ => None,
    }
}

fn errors() -> String {
    let rows = ErrorCode::ALL.iter().map(|code| {
        let then = match (code.is_retryable(), code.closes()) {
            (_, Some(close)) => format!("closes with {}", close.number()),
            (true, None) => "try again".to_owned(),
            (false, None) => "goes on".to_owned(),
        };
        [
            ticked(code.as_str()),
            code.http_status().to_string(),
            then,
            code.message().into(),
            code.remedy().into(),
        ]
    });
    rendered(["code", "HTTP", "then", "means", "what to do"], rows)
}

fn close_codes() -> String {
    let rows = CloseCode::ALL.iter().map(|code| {
        let advice = match code.advice() {
            Advice::ComeBack => "come back",
            Advice::ComeBackWithFreshToken => "come back with a fresh token",
            Advice::StayAway => "stay away",
        };
        [code.number().to_string(), ticked(code.reason_code()), advice.into(), code.meaning().into()]
    });
    rendered(["code", "reason", "the client should", "means"], rows)
}

fn requests(catalogue: &Catalogue) -> String {
    let rows = catalogue.requests.iter().map(|request| {
        let answers: Vec<String> = request.answers.iter().map(|it| ticked(it)).collect();
        let fields = field_list(catalogue, &request.payload);
        [
            ticked(request.name),
            fields,
            answers.join(" or "),
            one_line(catalogue.description(&request.payload)),
        ]
    });
    rendered(["request", "payload", "answer", "what it does"], rows)
}

fn messages(catalogue: &Catalogue) -> String {
    let rows = catalogue.messages.iter().map(|message| {
        let fields = field_list(catalogue, &message.payload);
        [ticked(message.name), fields, one_line(catalogue.description(&message.payload))]
    });
    rendered(["message", "payload", "what it says"], rows)
}

fn limit_table() -> String {
    let rows = limits::all()
        .into_iter()
        .map(|limit| [ticked(limit.name), limit.value.to_string(), limit.meaning.to_owned()]);
    rendered(["limit", "value", "what it limits"], rows)
}

fn metric_table() -> String {
    let metrics = Metrics::default();
    let mut described = metrics.described().to_vec();
    described.sort_by(|one, other| one.name.cmp(&other.name));
    let rows = described.into_iter().map(|it| [ticked(&it.name), it.kind, it.help]);
    rendered(["metric", "kind", "what it says"], rows)
}

/// `device_id, name?`: the fields of a payload, optional ones with a question mark.
fn field_list(catalogue: &Catalogue, payload: &str) -> String {
    let Some(schema) = catalogue.definition(payload) else { return String::new() };
    if let Some(forms) = schema.get("anyOf").and_then(serde_json::Value::as_array) {
        let forms = forms.iter().filter_map(|form| {
            let name = form.as_object().and_then(super::shapes::referred);
            name.map_or(Some(form), |name| catalogue.definition(name))
        });
        return forms.map(fields_of).collect::<Vec<_>>().join(" or ");
    }
    fields_of(schema)
}

fn fields_of(schema: &serde_json::Value) -> String {
    let fields = super::typescript::fields(schema).into_iter().map(|field| {
        let mark = if field.is_required { "" } else { "?" };
        format!("{}{mark}", field.name)
    });
    ticked(&format!("{{{}}}", fields.collect::<Vec<_>>().join(", ")))
}

fn ticked(text: &str) -> String {
    format!("`{text}`")
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

fn rendered<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> String {
    let rule = ["---"; COLUMNS].join(" | ");
    let mut table = format!("| {} |\n| {rule} |\n", head.join(" | "));
    for row in rows {
        let cells = row.map(|cell| cell.replace('|', "\\|"));
        table.extend(["| ", &cells.join(" | "), " |\n"]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_made_anew_between_their_markers_and_the_rest_stays() {
        let document = "# A\n<!-- generated: close-codes -->\nold\n<!-- end -->\nafter\n";
        let filled = fill(document, &Catalogue::all()).unwrap();
        assert!(filled.starts_with("# A\n<!-- generated: close-codes -->\n\n| code |"), "{filled}");
        assert!(filled.contains("| 4401 | `token_expired` | come back with a fresh token |"));
        assert!(filled.ends_with("|\n\n<!-- end -->\nafter\n") && !filled.contains("old"), "{filled}");
        assert_eq!(fill(&filled, &Catalogue::all()).unwrap(), filled, "a second time changes nothing");
    }

    #[test]
    fn a_marker_that_means_nothing_is_named() {
        let catalogue = Catalogue::all();
        assert!(
            fill("<!-- generated: nothing --><!-- end -->", &catalogue).unwrap_err().contains("\"nothing\"")
        );
        assert!(fill("<!-- generated: errors -->", &catalogue).unwrap_err().contains("no <!-- end -->"));
    }

    #[test]
    fn optional_fields_have_a_question_mark() {
        let table = requests(&Catalogue::all());
        assert!(table.contains("| `join_room` | `{room, positions?, since?}` | `room.joined` |"), "{table}");
        assert!(table.contains("`{locations}` or `{device_id, location, "), "{table}");
    }
}
