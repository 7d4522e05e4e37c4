//! Programs of a few instructions, to ask the kernel for exactly one thing.

/// Where a program is loaded, and how much stands before its code.
pub(crate) const BASE: u64 = 0x0040_0000;
pub(crate) const HEADERS: u64 = 64 + 56;

/// An ELF file of one segment that is loaded, read, written and executed.
pub(crate) fn elf(machine: u16, code: &[u8]) -> Vec<u8> {
    let length = HEADERS + code.len() as u64;
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend(
        [2, machine]
            .iter()
            .flat_map(|number: &u16| number.to_le_bytes()),
    );
    file.extend(1_u32.to_le_bytes());
    file.extend(
        [BASE + HEADERS, 64, 0]
            .iter()
            .flat_map(|number| number.to_le_bytes()),
    );
    file.extend(0_u32.to_le_bytes());
    file.extend(
        [64, 56, 1, 0, 0, 0]
            .iter()
            .flat_map(|number: &u16| number.to_le_bytes()),
    );
    file.extend([1, 7].iter().flat_map(|number: &u32| number.to_le_bytes()));
    let segment = [0, BASE, BASE, length, length, 0x1000];
    file.extend(segment.iter().flat_map(|number| number.to_le_bytes()));
    file.extend(code);
    file
}

/// Prints the first seven letters of the machine's name as `uname` has it: for arm64.
pub(crate) fn arm64_uname() -> Vec<u8> {
    const CODE: [u32; 12] = [
        0xd108_03ff, // sub sp, sp, #512
        0x9100_03e0, // mov x0, sp
        0xd280_1408, // mov x8, #160: uname
        0xd400_0001, // svc #0
        0x9104_13e1, // add x1, sp, #260: the field `machine`
        0xd280_0020, // mov x0, #1
        0xd280_00e2, // mov x2, #7
        0xd280_0808, // mov x8, #64: write
        0xd400_0001, // svc #0
        0xd280_0000, // mov x0, #0
        0xd280_0ba8, // mov x8, #93: exit
        0xd400_0001, // svc #0
    ];
    let code: Vec<u8> = CODE
        .iter()
        .flat_map(|instruction| instruction.to_le_bytes())
        .collect();
    elf(183, &code)
}

/// How a program enters the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry {
    /// As a program of 64 bits.
    Syscall,
    /// As a program of 32 bits, which one of 64 may do too.
    Int80,
}

/// Makes one call with three arguments and ends with its error number as the exit code, 0 for
/// success: for amd64.
pub(crate) fn amd64_call(entry: Entry, number: u32, arguments: [u64; 3]) -> Vec<u8> {
    let mut code = Vec::new();
    // mov into the registers of the arguments
    let registers: [[u8; 2]; 3] = match entry {
        Entry::Syscall => [[0x48, 0xbf], [0x48, 0xbe], [0x48, 0xba]],
        Entry::Int80 => [[0x48, 0xbb], [0x48, 0xb9], [0x48, 0xba]],
    };
    for (register, argument) in registers.iter().zip(arguments) {
        code.extend(register);
        code.extend(argument.to_le_bytes());
    }
    code.push(0xb8); // mov eax, number
    code.extend(number.to_le_bytes());
    code.extend(match entry {
        Entry::Syscall => [0x0f, 0x05],
        Entry::Int80 => [0xcd, 0x80],
    });
    code.extend(exit_with_error());
    elf(62, &code)
}

/// Connects to the abstract socket `name` and ends with the error number: for amd64.
pub(crate) fn amd64_connect(name: &[u8]) -> Vec<u8> {
    let address: Vec<u8> = [&[1, 0, 0], name].concat();
    let mut code = vec![
        0xbf, 1, 0, 0, 0, // mov edi, 1: AF_UNIX
        0xbe, 1, 0, 0, 0, // mov esi, 1: SOCK_STREAM
        0x31, 0xd2, // xor edx, edx
        0xb8, 41, 0, 0, 0, // mov eax, 41: socket
        0x0f, 0x05, // syscall
        0x89, 0xc7, // mov edi, eax
        0xba, // mov edx, length
    ];
    code.extend(u32::try_from(address.len()).unwrap_or(0).to_le_bytes());
    let rest = [vec![0xb8, 42, 0, 0, 0, 0x0f, 0x05], exit_with_error()].concat();
    // lea rsi, [rip + what follows]
    code.extend([0x48, 0x8d, 0x35]);
    code.extend(u32::try_from(rest.len()).unwrap_or(0).to_le_bytes());
    code.extend(rest);
    code.extend(address);
    elf(62, &code)
}

/// Makes one call with three arguments and ends with its error number as the exit code, 0 for success: for arm64.
pub(crate) fn arm64_call(number: u16, arguments: [u64; 3]) -> Vec<u8> {
    let mut code = Vec::new();
    for (register, argument) in (0..).zip(arguments) {
        // movz and movk: 16 bits at a time.
        for (quarter, instruction) in
            (0..4).zip([0xd280_0000_u32, 0xf280_0000, 0xf280_0000, 0xf280_0000])
        {
            let bits = u32::try_from(argument >> (16 * quarter) & 0xffff).unwrap_or_default();
            code.push(instruction | quarter << 21 | bits << 5 | register);
        }
    }
    code.push(0xd280_0008 | u32::from(number) << 5); // mov x8, number
    code.extend([
        0xd400_0001, // svc #0
        0xb6f8_0060, // tbz x0, #63, the last but two
        0xcb00_03e0, // neg x0, x0
        0x1400_0002, // b the last but one
        0xd280_0000, // mov x0, #0
        0xd280_0ba8, // mov x8, #93: exit
        0xd400_0001, // svc #0
    ]);
    let code: Vec<u8> = code
        .iter()
        .flat_map(|instruction| instruction.to_le_bytes())
        .collect();
    elf(183, &code)
}

/// Opens the program that it is part of, as its loader, and starts a shell for `script` that has it as descriptor 3: for
/// amd64.
pub(crate) fn amd64_loader_that_keeps_the_program(script: &str) -> Vec<u8> {
    let texts = ["/proc/self/exe", "/bin/sh", "-c", script];
    // What is used of it is the length: all places are in 8 bytes.
    let length = loader_code([0; 3]).len() as u64;
    let mut place = BASE + HEADERS + length + 4 * 8;
    let mut places = Vec::new();
    for text in texts {
        places.push(place);
        place += text.len() as u64 + 1;
    }
    let arguments = BASE + HEADERS + length;
    let mut code = loader_code([places[0], places[1], arguments]);
    for place in [places[1], places[2], places[3], 0] {
        code.extend(place.to_le_bytes());
    }
    for text in texts {
        code.extend(text.as_bytes());
        code.push(0);
    }
    elf(62, &code)
}

fn loader_code([program, shell, arguments]: [u64; 3]) -> Vec<u8> {
    let load = |register: [u8; 2], value: u64| [&register[..], &value.to_le_bytes()].concat();
    [
        load([0x48, 0xbf], program), // mov rdi, "/proc/self/exe"
        vec![
            0x31, 0xf6, // xor esi, esi: O_RDONLY
            0xb8, 2, 0, 0, 0, // mov eax, 2: open
            0x0f, 0x05, // syscall
        ],
        load([0x48, 0xbf], shell),     // mov rdi, "/bin/sh"
        load([0x48, 0xbe], arguments), // mov rsi, arguments
        vec![
            0x31, 0xd2, // xor edx, edx: no environment
            0xb8, 59, 0, 0, 0, // mov eax, 59: execve
            0x0f, 0x05, // syscall
        ],
        exit_with_error(),
    ]
    .concat()
}

fn exit_with_error() -> Vec<u8> {
    vec![
        0x85, 0xc0, // test eax, eax
        0x78, 0x02, // js to neg
        0x31, 0xc0, // xor eax, eax
        0xf7, 0xd8, // neg eax
        0x89, 0xc7, // mov edi, eax
        0xb8, 60, 0, 0, 0, // mov eax, 60: exit
        0x0f, 0x05, // syscall
    ]
}
