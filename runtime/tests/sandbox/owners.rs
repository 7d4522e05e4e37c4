//! Owners of files where a sandbox has one id: they are recorded, and seem to be the files' own.

use libtest_mimic::{Failed, Trial};

use crate::harness::{Ground, Ids, trial};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        trial("with_one_id_files_are_given_away", given_away),
        trial("with_one_id_links_and_pipes_are_given_away", others),
        trial("with_one_id_modes_and_owners_stay_together", modes),
        trial("with_one_id_root_is_given_what_is_roots", to_root),
        trial("with_one_id_a_device_looks_like_one", devices),
        trial("with_one_id_a_group_is_handed_down", handed_down),
        trial(
            "with_one_id_owners_are_found_in_a_changed_root",
            in_a_changed_root,
        ),
        trial("with_one_id_calls_fail_as_in_the_kernel", refusals),
        trial(
            "with_one_id_descriptors_and_links_lead_to_owners",
            by_other_names,
        ),
    ]
}

const LOOK: &str = "stat -c '%F %a %u:%g %n'";

fn expect(script: &str, expected: &str) -> Result<(), Failed> {
    let ground = Ground::new(Ids::Single)?;
    assert_eq!(ground.output(script)?, expected);
    Ok(())
}

fn given_away() -> Result<(), Failed> {
    expect(
        &format!(
            "mkdir /d; echo text > /d/f; chmod 640 /d/f; chown 33:44 /d/f; chown -R :7 /d; chown 5 /d
            {LOOK} /d /d/f; ls -ln /d/f | awk '{{print $1, $3, $4}}'; find /d -user 33; mv /d/f /g; ln /g /h; cp -p /g /i
            {LOOK} /g /h /i; chown 0:0 /g; {LOOK} /h"
        ),
        "directory 755 5:7 /d\n\
         regular file 640 33:7 /d/f\n\
         -rw-r----- 33 7\n\
         /d/f\n\
         regular file 640 33:7 /g\n\
         regular file 640 33:7 /h\n\
         regular file 640 33:7 /i\n\
         regular file 640 0:0 /h\n",
    )
}

fn others() -> Result<(), Failed> {
    expect(
        &format!(
            "ln -s /nowhere /l; mkfifo -m 600 /p; chown -h 3:4 /l; chown 5:6 /p; {LOOK} /l /p
            mv /l /m; ln -s /p /n; {LOOK} /m /n; {LOOK} -L /n; chown 8 /n; {LOOK} /n /p
            rm /m; for i in 1 2 3 4 5 6 7 8 9; do ln -s x /x$i; done; {LOOK} /x* | grep -vc ' 0:0 '; true"
        ),
        "symbolic link 777 3:4 /l\n\
         fifo 600 5:6 /p\n\
         symbolic link 777 3:4 /m\n\
         symbolic link 777 0:0 /n\n\
         fifo 600 5:6 /n\n\
         symbolic link 777 0:0 /n\n\
         fifo 600 8:0 /p\n\
         0\n",
    )
}

fn modes() -> Result<(), Failed> {
    expect(
        &format!(
            "echo > /f; chmod 4755 /f; {LOOK} /f; chown 3:4 /f; {LOOK} /f; chmod 6755 /f; {LOOK} /f
            chmod 0 /f; {LOOK} /f; chmod 2644 /f; chown 0:4 /f; {LOOK} /f
            mkdir -m 2775 /d; chown 0:9 /d; {LOOK} /d; chmod 1777 /d; {LOOK} /d"
        ),
        "regular file 4755 0:0 /f\n\
         regular file 755 3:4 /f\n\
         regular file 6755 3:4 /f\n\
         regular file 0 3:4 /f\n\
         regular file 2644 0:4 /f\n\
         directory 2775 0:9 /d\n\
         directory 1777 0:9 /d\n",
    )
}

fn to_root() -> Result<(), Failed> {
    expect(
        &format!(
            "echo > /f; chmod 6755 /f; chown 0:0 /f; {LOOK} /f; chmod 2755 /f; chown -h :0 /f; {LOOK} /f
            mkdir -m 2755 /d; chown 0 /d; {LOOK} /d; mkfifo -m 600 /p; chown 3:4 /p; chown 0 /p; {LOOK} /p
            ln -s /p /l; chown -h 3 /l; chown -h 0:0 /l; chown 0:0 /l; {LOOK} /l /p; chown 0:0 /none 2>&1; true"
        ),
        "regular file 755 0:0 /f\n\
         regular file 755 0:0 /f\n\
         directory 2755 0:0 /d\n\
         fifo 600 0:4 /p\n\
         symbolic link 777 0:0 /l\n\
         fifo 600 0:0 /p\n\
         chown: /none: No such file or directory\n",
    )
}

fn devices() -> Result<(), Failed> {
    expect(
        &format!(
            "mknod -m 640 /disk b 259 70000; chown 0:6 /disk; {LOOK} /disk; stat -c '%t %T' /disk
            test -b /disk && tar -cf /t /disk 2>/dev/null && rm /disk && tar -xpf /t -C / && {LOOK} /disk"
        ),
        "block special file 640 0:6 /disk\n\
         103 11170\n\
         block special file 640 0:6 /disk\n",
    )
}

fn handed_down() -> Result<(), Failed> {
    expect(
        &format!(
            "mkdir /d; chown 0:8 /d; chmod 2775 /d; cd /d; umask 027; mkdir s; echo > s/f; ln -s x l; mkfifo p; echo > f
            {LOOK} s s/f l p f; echo again > f; cat f; mkdir /e; {LOOK} /e"
        ),
        "directory 2750 0:8 s\n\
         regular file 640 0:8 s/f\n\
         symbolic link 777 0:8 l\n\
         fifo 640 0:8 p\n\
         regular file 640 0:8 f\n\
         again\n\
         directory 750 0:0 /e\n",
    )
}

fn in_a_changed_root() -> Result<(), Failed> {
    expect(
        &format!(
            "mkdir -p /jail/bin /jail/d /d; cp /bin/busybox /jail/bin/; ln -s /d /jail/l; ln -s ../../d /jail/d/up
            chroot /jail /bin/busybox sh -c 'cd /d; B=/bin/busybox; $B chown 3 /l; $B mkdir x; $B chown 4 x
                $B chown 5 up; $B stat -c %u /d /d/x'
            {LOOK} /d /jail/d /jail/d/x"
        ),
        "5\n4\n\
         directory 755 0:0 /d\n\
         directory 755 5:0 /jail/d\n\
         directory 755 4:0 /jail/d/x\n",
    )
}

fn refusals() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Single)?;
    let script = "echo > /f; for path in /no /f/x /proc/version; do chown 3:3 $path; done 2>&1
        ln -s /loop /loop; chown 3 /loop 2>&1; cat /proc/self/nothing 2>&1; stat -c %u /proc/1 /proc/self";
    let ended = ground.shell(script)?;
    assert_eq!(
        ended.stdout,
        "chown: /no: No such file or directory\n\
         chown: /f/x: Not a directory\n\
         chown: /proc/version: Invalid argument\n\
         chown: /loop: Too many levels of symbolic links\n\
         cat: can't open '/proc/self/nothing': No such file or directory\n\
         0\n0\n"
    );
    Ok(())
}

fn by_other_names() -> Result<(), Failed> {
    expect(
        "echo > /f; chown 3:4 /f; ln -s /f /l; exec 7</f; stat -L -c %u:%g /proc/self/fd/7 /dev/fd/7 /l
        chown 5 /proc/self/fd/7; stat -c %u /f; cd /dev; chown 6 ../f; stat -c %u ../f; rm /f; stat -L -c %u /dev/fd/7",
        "3:4\n3:4\n3:4\n5\n6\n6\n",
    )
}
