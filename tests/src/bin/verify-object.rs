//! Loads every program of an eBPF object into this kernel, as the daemon would, and prints what the
//! kernel says about it. Nothing is attached; all is gone when this ends. Started by
//! `cargo xtask ebpf verify`.
//!
//! The kernel reports no stack depth, and aya shows the verifier's log only when it refuses. The depth
//! printed is therefore the lowest address below the frame pointer that the translated instructions
//! form: that of the deepest single function, not of a chain of calls.

#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use std::env;
use std::error::Error;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use aya::programs::{Program, ProgramInfo};
use aya::{EbpfLoader, VerifierLogLevel};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const INSTRUCTION_BYTES: usize = 8;

fn main() -> Outcome {
    let paths: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        return Err("usage: verify-object PATH..: the eBPF objects to load".into());
    }
    paths.iter().try_for_each(|path| verify(path))
}

fn verify(path: &Path) -> Outcome {
    let mut ebpf = EbpfLoader::new()
        .verifier_log_level(VerifierLogLevel::DEBUG | VerifierLogLevel::STATS)
        .load_file(path)
        .map_err(|error| format!("{} was not loaded: {}", path.display(), chain(&error)))?;
    let mut loaded = 0_u32;
    for (name, program) in ebpf.programs_mut() {
        let result = if let Program::Xdp(program) = program {
            program.load().and_then(|()| program.info())
        } else if let Program::RawTracePoint(program) = program {
            program.load().and_then(|()| program.info())
        } else {
            return Err(format!("{name} is of a new kind: teach verify-object to load it").into());
        };
        let info =
            result.map_err(|error| format!("the kernel refuses {name}: {}", chain(&error)))?;
        report(name, &info)?;
        loaded += 1;
    }
    if loaded == 0 {
        return Err(format!("{} holds no program", path.display()).into());
    }
    Ok(())
}

fn report(name: &str, info: &ProgramInfo) -> Outcome {
    let fd = info.fd()?;
    let translated = translated_instructions(fd.as_fd())?;
    let count = info.size_translated().map(usize::try_from).transpose()?;
    println!("{name}: accepted");
    println!("  verified    {} instructions", shown(info.verified_instruction_count()));
    println!("  translated  {} instructions", shown(count.map(|bytes| bytes / INSTRUCTION_BYTES)));
    match info.size_jitted() {
        0 => println!("  jited       no: the kernel interprets it (net.core.bpf_jit_enable)"),
        bytes => println!("  jited       {bytes} bytes"),
    }
    match stack_depth(&translated) {
        Some(bytes) => println!("  stack       {bytes} bytes in its deepest function, of 512"),
        None => {
            println!("  stack       unknown: the kernel hides the instructions (kptr_restrict)");
        }
    }
    Ok(())
}

fn shown<T: ToString>(number: Option<T>) -> String {
    number.map_or_else(|| "an unknown number of".to_owned(), |number| number.to_string())
}

/// The refusal's causes: the verifier's log is in the last of them.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The start of the kernel's `struct bpf_prog_info`; it fills as much as it is given.
#[repr(C)]
#[derive(Default)]
struct ProgInfoHead {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_bytes: u32,
    translated_bytes: u32,
    jited_address: u64,
    translated_address: u64,
}

/// The kernel's `union bpf_attr` for `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct InfoByFd {
    fd: u32,
    info_bytes: u32,
    info_address: u64,
}

const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;

fn translated_instructions(program: BorrowedFd<'_>) -> Outcome<Vec<u8>> {
    let mut head = ProgInfoHead::default();
    fill(program, &mut head)?;
    let mut instructions = vec![0_u8; usize::try_from(head.translated_bytes)?];
    let mut head = ProgInfoHead {
        translated_bytes: head.translated_bytes,
        translated_address: u64::try_from(instructions.as_mut_ptr().addr())?,
        ..ProgInfoHead::default()
    };
    fill(program, &mut head)?;
    if head.translated_address == 0 {
        instructions.clear();
    }
    Ok(instructions)
}

fn fill(program: BorrowedFd<'_>, head: &mut ProgInfoHead) -> Outcome {
    let attributes = InfoByFd {
        fd: u32::try_from(program.as_raw_fd())?,
        info_bytes: u32::try_from(size_of::<ProgInfoHead>())?,
        info_address: u64::try_from((&raw mut *head).expose_provenance())?,
    };
    // SAFETY: the kernel reads `attributes` and writes at most `info_bytes` to `head`, and at most
    // `translated_bytes` to the buffer that `head` names, which is that long; all outlive the call.
    let status = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_OBJ_GET_INFO_BY_FD,
            &raw const attributes,
            size_of::<InfoByFd>(),
        )
    };
    if status < 0 {
        return Err(
            format!("asking the kernel for a program: {}", io::Error::last_os_error()).into()
        );
    }
    Ok(())
}

const FRAME_POINTER: u8 = 10;
const CLASS_LOAD: u8 = 0x01;
const CLASS_STORE_IMMEDIATE: u8 = 0x02;
const CLASS_STORE: u8 = 0x03;
const CLASS_ALU: u8 = 0x04;
const CLASS_ALU64: u8 = 0x07;
const MOVE_REGISTER: u8 = 0xbf;
const ADD_IMMEDIATE: u8 = 0x07;

/// How far below the frame pointer the instructions reach, directly or by a copy of it.
fn stack_depth(instructions: &[u8]) -> Option<u32> {
    if instructions.is_empty() {
        return None;
    }
    let mut lowest = 0_i32;
    // The distance of each register from the frame pointer, where it is a copy of it.
    let mut copies = [None::<i32>; 16];
    let frame = usize::from(FRAME_POINTER);
    for instruction in instructions.chunks_exact(INSTRUCTION_BYTES) {
        let &[code, registers, off_0, off_1, imm_0, imm_1, imm_2, imm_3] = instruction else {
            continue;
        };
        let (target, source) = (usize::from(registers & 0x0f), usize::from(registers >> 4));
        let offset = i32::from(i16::from_ne_bytes([off_0, off_1]));
        let immediate = i32::from_ne_bytes([imm_0, imm_1, imm_2, imm_3]);
        if let Some(slot) = copies.get_mut(frame) {
            *slot = Some(0);
        }
        let held = |register: usize| copies.get(register).copied().flatten();
        let (touched, becomes) = match (code, code & 0x07) {
            (MOVE_REGISTER, _) => (None, Some(held(source))),
            (ADD_IMMEDIATE, _) => {
                let moved = held(target).map(|distance| distance.saturating_add(immediate));
                (moved, Some(moved))
            }
            (_, CLASS_LOAD) => (held(source).map(|distance| distance + offset), Some(None)),
            (_, CLASS_STORE | CLASS_STORE_IMMEDIATE) => {
                (held(target).map(|distance| distance + offset), None)
            }
            (_, CLASS_ALU | CLASS_ALU64) => (None, Some(None)),
            _ => (None, None),
        };
        lowest = lowest.min(touched.unwrap_or(0));
        if let (Some(becomes), Some(slot)) = (becomes, copies.get_mut(target)) {
            *slot = becomes;
        }
    }
    Some(lowest.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruction(code: u8, target: u8, source: u8, offset: i16, immediate: i32) -> Vec<u8> {
        let mut bytes = vec![code, source << 4 | target];
        bytes.extend(offset.to_ne_bytes());
        bytes.extend(immediate.to_ne_bytes());
        bytes
    }

    #[test]
    fn the_depth_is_the_lowest_address_below_the_frame_pointer() {
        let store = instruction(0x7b, 10, 1, -16, 0);
        let copy = instruction(MOVE_REGISTER, 2, 10, 0, 0);
        let lower = instruction(ADD_IMMEDIATE, 2, 0, 0, -64);
        let through_copy = instruction(0x7b, 2, 1, -8, 0);
        let overwrite = instruction(MOVE_REGISTER, 2, 1, 0, 0);
        assert_eq!(stack_depth(&store), Some(16));
        assert_eq!(stack_depth(&[store.clone(), copy.clone(), lower.clone()].concat()), Some(64));
        assert_eq!(
            stack_depth(&[copy.clone(), lower.clone(), through_copy.clone()].concat()),
            Some(72)
        );
        assert_eq!(stack_depth(&[copy, overwrite, lower].concat()), Some(0));
        assert_eq!(stack_depth(&through_copy), Some(0), "not a copy of the frame pointer");
        assert_eq!(stack_depth(&[]), None);
    }
}
