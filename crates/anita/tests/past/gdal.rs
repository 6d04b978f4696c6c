//! An independent reader of the golden files: GDAL's `ogrinfo` (Debian: gdal-bin).

use std::path::{Path, PathBuf};
use std::process::Command;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../anita-server/tests/golden").join(name)
}

/// What `ogrinfo` says of a file; `None` where it is not there, by its name.
fn ogrinfo(file: &Path, options: &[&str]) -> Option<String> {
    match Command::new("ogrinfo").args(["-al", "-ro"]).args(options).arg(file).output() {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && errors.is_empty(), "{errors}");
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) => {
            let is_needed = std::env::var_os("ANITA_TEST_REQUIRE_SERVICES").is_some();
            assert!(!is_needed, "ogrinfo is missing (apt-get install gdal-bin): {error}");
            eprintln!("skipped: ogrinfo is missing (apt-get install gdal-bin): {error}");
            None
        }
    }
}

#[test]
fn gdal_reads_the_golden_geojson() {
    let Some(found) = ogrinfo(&golden("export.geojson"), &[]) else { return };
    let expected = [
        "Feature Count: 3",
        "Geometry: 3D Point",
        "Extent: (-12345.678000, 0.000000) - (1.235000, 10000000.000000)",
        "timestamp: DateTime",
        "accuracy: Real",
        "device_id (String) = cart \"7\", red",
        "POINT Z (1 2 3)",
        "sequence (Integer64) = 4294967296",
        "1969/12/31 23:59:59.125+00",
    ];
    for line in expected {
        assert!(found.contains(line), "{line}:\n{found}");
    }
}

#[test]
fn gdal_reads_the_golden_csv() {
    let options = [
        "-oo",
        "AUTODETECT_TYPE=YES",
        "-oo",
        "X_POSSIBLE_NAMES=x_m",
        "-oo",
        "Y_POSSIBLE_NAMES=y_m",
        "-oo",
        "Z_POSSIBLE_NAMES=z_m",
    ];
    let Some(found) = ogrinfo(&golden("export.csv"), &options) else { return };
    for line in [
        "Feature Count: 3",
        "Geometry: 3D Point",
        "device_id (String) = cart \"7\", red",
        "POINT Z (1 2 3)",
        "x_m: Real",
    ] {
        assert!(found.contains(line), "{line}:\n{found}");
    }
}
