use super::*;

fn svg(attributes: &str, inside: &str) -> String {
    format!("<svg xmlns='{NAMESPACE}' {attributes}>{inside}</svg>")
}

fn drawing(inside: &str) -> Result<(f64, f64), Fault> {
    measure(svg("viewBox='0 0 40 20'", inside).as_bytes())
}

#[test]
fn the_size_is_that_of_browsers() {
    for (attributes, size) in [
        ("width='400' height='200'", (400.0, 200.0)),
        ("width='400px' height='2e2' viewBox='0 0 4 2'", (400.0, 200.0)),
        ("width='2in' height='25.4mm'", (192.0, 96.0)),
        ("width='72pt' height='6pc'", (96.0, 96.0)),
        ("width='2.54cm' height='1in'", (96.0, 96.0)),
        ("viewBox='-5 -5 40 20'", (40.0, 20.0)),
        ("viewBox='0,0,40.5,\n 20'", (40.5, 20.0)),
        ("width='100%' height='100%' viewBox='0 0 40 20'", (40.0, 20.0)),
        ("width='800' viewBox='0 0 40 20'", (800.0, 400.0)),
        ("height='100' viewBox='0 0 40 20'", (200.0, 100.0)),
    ] {
        let (width, height) = measure(svg(attributes, "").as_bytes()).unwrap();
        assert!((width - size.0).abs() < 1e-9 && (height - size.1).abs() < 1e-9, "{attributes}");
    }
    for attributes in [
        "",
        "width='10'",
        "width='0' height='9'",
        "viewBox='0 0 0 9'",
        "viewBox='0 0 9'",
        "width='-1' height='1'",
        "width='NaN' height='inf'",
    ] {
        assert_eq!(measure(svg(attributes, "").as_bytes()), Err(Fault::Size), "{attributes}");
    }
}

#[test]
fn what_drawing_programs_write_is_taken() {
    let inside = "<!-- by hand --><defs><linearGradient id='g'/><style>.a{fill:url(#g)}</style></defs>
        <style><![CDATA[ .b > .c { stroke: url('#g') } ]]></style>
        <g class='a' style='mask:url(\"#m\")'><use href='#g'/><use xmlns:xlink='http://www.w3.org/1999/xlink' xlink:href='#g'/></g>
        <image href='data:image/png;base64,iVBORw0KGgo='/><text>B&amp;B &#8364; &lt;</text><title>on the floor</title>
        <x:namedview xmlns:x='http://www.inkscape.org/namespaces/inkscape' x:export='C:\\plans\\hall.png'/>";
    assert_eq!(drawing(inside), Ok((40.0, 20.0)));
    let whole = format!(
        "\u{feff}<?xml version='1.0' encoding='UTF-8' standalone='no'?>\n<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd'>\n{}\n",
        svg("viewBox='0 0 1 1'", "")
    );
    assert_eq!(measure(whole.as_bytes()), Ok((1.0, 1.0)));
    let prefixed = format!("<s:svg xmlns:s='{NAMESPACE}' viewBox='0 0 7 7'><s:path/></s:svg>");
    assert_eq!(measure(prefixed.as_bytes()), Ok((7.0, 7.0)));
}

#[test]
fn what_could_do_something_is_refused_with_its_place() {
    let of = |inside: &str| drawing(inside).unwrap_err();
    for inside in [
        "<script>alert(1)</script>",
        "<SCRIPT/>",
        "<x:script xmlns:x='y'/>",
        "<foreignObject/>",
        "<g><iframe/></g>",
    ] {
        assert!(matches!(of(inside), Fault::Element { .. }), "{inside}");
    }
    for inside in ["<g onload='x()'/>", "<g ONCLICK=''/>", "<g x:onfocus='y' xmlns:x='z'/>"] {
        assert!(matches!(of(inside), Fault::Handler { .. }), "{inside}");
    }
    for inside in [
        "<a href='https://evil.example'/>",
        "<a href=' javascript:alert(1)'/>",
        "<a href='java&#115;cript:alert(1)'/>",
        "<image href='//evil.example/a.png'/>",
        "<image href='data:image/svg+xml,a'/>",
        "<image href='data:image/pngish,a'/>",
        "<use xmlns:l='http://www.w3.org/1999/xlink' l:href='other.svg#a'/>",
        "<g xml:base='https://evil.example'/>",
        "<g style='fill:url(https://evil.example)'/>",
        "<g fill='URL( \"//evil.example/a#b\" )'/>",
        "<style>@import 'a.css';</style>",
        "<style>a{background:url(b.png)}</style>",
        "<style><![CDATA[a{background:url(b.png)}]]></style>",
        "<g style='fill:u\\72l(b.png)'/>",
    ] {
        assert!(matches!(of(inside), Fault::Reference { .. }), "{inside}: {:?}", drawing(inside));
    }
    let error = of("<g/><script/>").to_string();
    assert_eq!(error, "holds the element `script` at byte 64, which is no drawing");
}

#[test]
fn what_declares_is_refused_and_nothing_is_expanded() {
    let bomb = "<!DOCTYPE svg [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]>";
    let text = format!("{bomb}{}", svg("viewBox='0 0 1 1'", "&b;"));
    assert_eq!(measure(text.as_bytes()), Err(Fault::Declaration { at: 0 }));
    let text = format!("<?xml-stylesheet href='a.css'?>{}", svg("viewBox='0 0 1 1'", ""));
    assert_eq!(measure(text.as_bytes()), Err(Fault::Declaration { at: 0 }));
    assert!(matches!(drawing("&b;"), Err(Fault::Malformed { .. })));
}

#[test]
fn what_is_not_well_formed_or_another_kind_of_text_is_refused() {
    for text in [
        svg("viewBox='0 0 1 1'", "<g>"),
        svg("viewBox='0 0 1 1'", "<g></h>"),
        svg("viewBox='0 0 1 1' viewBox='0 0 2 2'", ""),
        svg("viewBox='0 0 1 1'", "<g a=b/>"),
        format!("<svg xmlns='{NAMESPACE}' viewBox='0 0 1 1'>"),
        svg("viewBox='0 0 1 1'", "") + "<g/>",
        svg("viewBox='0 0 1 1'", "") + "words",
    ] {
        assert!(matches!(measure(text.as_bytes()), Err(Fault::Malformed { .. })), "{text}");
    }
    for text in [
        "<html><body/></html>",
        "<svg viewBox='0 0 1 1'/>",
        "<!-- nothing -->",
        "<g xmlns='http://www.w3.org/2000/svg'/>",
    ] {
        assert_eq!(measure(text.as_bytes()), Err(Fault::Root), "{text}");
    }
    assert_eq!(measure(b"<svg \xff/>"), Err(Fault::Encoding));
}

#[test]
fn it_may_be_nested_and_not_without_end() {
    let nested = |depth: usize| drawing(&("<g>".repeat(depth) + &"</g>".repeat(depth)));
    assert!(nested(DEPTH_MAX - 1).is_ok());
    assert!(matches!(nested(DEPTH_MAX), Err(Fault::Deep { .. })));
    let wide = |count: usize| {
        drawing(&format!(
            "<g {}/>",
            (0..count).fold(String::new(), |all, number| format!("{all} a{number}=''"))
        ))
    };
    assert!(wide(ATTRIBUTES_MAX).is_ok());
    assert!(matches!(wide(ATTRIBUTES_MAX + 1), Err(Fault::Attributes { .. })));
    assert!(matches!(nested(100_000), Err(Fault::Deep { .. })));
}
