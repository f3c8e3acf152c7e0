//! Choice of the device that models run on.

use candle_core::Device;

use super::{Error, Result};

/// Returns the device named `auto`, `cpu`, `cuda:N` (`cuda` is `cuda:0`) or `metal`. `auto` is the
/// first GPU that works, else the CPU.
///
/// # Errors
///
/// The name is unknown, support for the device is not compiled in, or the device does not work.
pub fn choose(name: &str) -> Result<Device> {
    let error = |what: String| Error::Device { name: name.to_owned(), what };
    match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => return Ok(first_gpu().unwrap_or(Device::Cpu)),
        "metal" => {
            if !candle_core::utils::metal_is_available() {
                return Err(error(
                    "not compiled in: build with `--features metal` on a Mac, or use `cpu`".into(),
                ));
            }
            return Device::new_metal(0).map_err(|why| error(reason(&why)));
        }
        _ => {}
    }
    let ordinal = match name.strip_prefix("cuda") {
        Some("") => Some(0),
        Some(rest) => rest.strip_prefix(':').and_then(|number| number.parse::<usize>().ok()),
        None => None,
    };
    let Some(ordinal) = ordinal else {
        return Err(error("unknown, expected `auto`, `cpu`, `cuda:N` or `metal`".into()));
    };
    if !candle_core::utils::cuda_is_available() {
        return Err(error(
            "not compiled in: build with `--features cuda` where the CUDA toolkit is installed, or \
             use `cpu`"
                .into(),
        ));
    }
    Device::new_cuda(ordinal).map_err(|why| error(reason(&why)))
}

/// Returns the devices that support is compiled in for, and why each does not work:
/// `(name, error)`.
#[must_use]
pub fn compiled_in() -> Vec<(String, Option<String>)> {
    let mut devices = vec![("cpu".to_owned(), None)];
    if candle_core::utils::cuda_is_available() {
        // Devices are numbered without gaps, so the first one that fails ends the list.
        for ordinal in 0..64 {
            match Device::new_cuda(ordinal) {
                Ok(_) => devices.push((format!("cuda:{ordinal}"), None)),
                Err(why) if ordinal == 0 => devices.push(("cuda:0".into(), Some(reason(&why)))),
                Err(_) => break,
            }
        }
    }
    if candle_core::utils::metal_is_available() {
        devices.push(("metal".to_owned(), Device::new_metal(0).err().map(|why| reason(&why))));
    }
    devices
}

fn first_gpu() -> Option<Device> {
    if candle_core::utils::cuda_is_available()
        && let Ok(device) = Device::new_cuda(0)
    {
        return Some(device);
    }
    if candle_core::utils::metal_is_available() {
        return Device::new_metal(0).ok();
    }
    None
}

fn reason(error: &candle_core::Error) -> String {
    // candle may append a backtrace to its message.
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood() {
        assert!(choose("cpu").is_ok_and(|device| device.is_cpu()));
        assert!(choose("auto").is_ok());
        for name in ["gpu", "cuda:x", "cudas", ""] {
            let text = choose(name).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains("expected `auto`"), "{name}: {text}");
        }
        if !candle_core::utils::cuda_is_available() {
            let text = choose("cuda:0").err().map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains("not compiled in"), "{text}");
        }
        assert_eq!(compiled_in()[0], ("cpu".to_owned(), None));
    }
}
