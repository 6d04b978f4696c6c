//! The dashboard and the JavaScript client are built by `cargo xtask` and embedded from their `dist` folders; where
//! they are not built, the server has a page that says how.

fn main() {
    for folder in ["../../dashboard/dist", "../../sdk/dist"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
