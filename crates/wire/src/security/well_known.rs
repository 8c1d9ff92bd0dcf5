//! The well-known SIDs: their numbers, their aliases in SDDL, their names.
//!
//! | table | source |
//! | --- | --- |
//! | [`ABSOLUTE`] | \[MS-DTYP\] 2.4.2.4 (numbers), 2.5.1.1 (aliases); `AS`, `SS` from `sddl.h` |
//! | [`RELATIVE`] | \[MS-DTYP\] 2.4.2.4, 2.5.1.1; `AP`, `KA`, `EK` from `sddl.h` |
//!
//! The names are those of an English Windows; the number is what counts.

use super::sid::Sid;

/// A well-known SID that is the same everywhere.
pub(super) struct WellKnown {
    pub(super) authority: u64,
    pub(super) sub_authorities: &'static [u32],
    pub(super) alias: Option<&'static str>,
    pub(super) name: &'static str,
}

/// The entry for a SID.
pub(super) fn find(sid: Sid<'_>) -> Option<&'static WellKnown> {
    let authority = sid.authority();
    ABSOLUTE.iter().find(|known| {
        known.authority == authority && sid.sub_authorities().eq(known.sub_authorities.iter().copied())
    })
}

/// The entry whose alias is `alias`, in upper or lower case.
pub(super) fn by_alias(alias: &str) -> Option<&'static WellKnown> {
    ABSOLUTE.iter().find(|known| known.alias.is_some_and(|name| name.eq_ignore_ascii_case(alias)))
}

/// The last sub-authority of a SID that SDDL names relative to a domain, in upper or lower case.
pub(super) fn domain_rid(alias: &str) -> Option<u32> {
    RELATIVE.iter().find(|(name, _)| name.eq_ignore_ascii_case(alias)).map(|(_, rid)| *rid)
}

macro_rules! well_known {
    ($($authority:literal $($sub:literal)*, $alias:tt, $name:literal;)*) => {
        &[$(WellKnown {
            authority: $authority,
            sub_authorities: &[$($sub),*],
            alias: well_known!(@alias $alias),
            name: $name,
        }),*]
    };
    (@alias _) => { None };
    (@alias $alias:literal) => { Some($alias) };
}

/// SIDs that are the same everywhere: authority and sub-authorities, alias, name.
const ABSOLUTE: &[WellKnown] = well_known! {
    0 0, _, "NULL SID";
    1 0, "WD", "Everyone";
    2 0, _, "LOCAL";
    2 1, _, "CONSOLE LOGON";
    3 0, "CO", "CREATOR OWNER";
    3 1, "CG", "CREATOR GROUP";
    3 2, _, "CREATOR OWNER SERVER";
    3 3, _, "CREATOR GROUP SERVER";
    3 4, "OW", "OWNER RIGHTS";
    5 1, _, "NT AUTHORITY\\DIALUP";
    5 2, "NU", "NT AUTHORITY\\NETWORK";
    5 3, _, "NT AUTHORITY\\BATCH";
    5 4, "IU", "NT AUTHORITY\\INTERACTIVE";
    5 6, "SU", "NT AUTHORITY\\SERVICE";
    5 7, "AN", "NT AUTHORITY\\ANONYMOUS LOGON";
    5 8, _, "NT AUTHORITY\\PROXY";
    5 9, "ED", "NT AUTHORITY\\ENTERPRISE DOMAIN CONTROLLERS";
    5 10, "PS", "NT AUTHORITY\\SELF";
    5 11, "AU", "NT AUTHORITY\\Authenticated Users";
    5 12, "RC", "NT AUTHORITY\\RESTRICTED";
    5 13, _, "NT AUTHORITY\\TERMINAL SERVER USER";
    5 14, _, "NT AUTHORITY\\REMOTE INTERACTIVE LOGON";
    5 15, _, "NT AUTHORITY\\This Organization";
    5 17, _, "NT AUTHORITY\\IUSR";
    5 18, "SY", "NT AUTHORITY\\SYSTEM";
    5 19, "LS", "NT AUTHORITY\\LOCAL SERVICE";
    5 20, "NS", "NT AUTHORITY\\NETWORK SERVICE";
    5 32 544, "BA", "BUILTIN\\Administrators";
    5 32 545, "BU", "BUILTIN\\Users";
    5 32 546, "BG", "BUILTIN\\Guests";
    5 32 547, "PU", "BUILTIN\\Power Users";
    5 32 548, "AO", "BUILTIN\\Account Operators";
    5 32 549, "SO", "BUILTIN\\Server Operators";
    5 32 550, "PO", "BUILTIN\\Print Operators";
    5 32 551, "BO", "BUILTIN\\Backup Operators";
    5 32 552, "RE", "BUILTIN\\Replicator";
    5 32 554, "RU", "BUILTIN\\Pre-Windows 2000 Compatible Access";
    5 32 555, "RD", "BUILTIN\\Remote Desktop Users";
    5 32 556, "NO", "BUILTIN\\Network Configuration Operators";
    5 32 557, _, "BUILTIN\\Incoming Forest Trust Builders";
    5 32 558, "MU", "BUILTIN\\Performance Monitor Users";
    5 32 559, "LU", "BUILTIN\\Performance Log Users";
    5 32 560, _, "BUILTIN\\Windows Authorization Access Group";
    5 32 561, _, "BUILTIN\\Terminal Server License Servers";
    5 32 562, _, "BUILTIN\\Distributed COM Users";
    5 32 568, "IS", "BUILTIN\\IIS_IUSRS";
    5 32 569, "CY", "BUILTIN\\Cryptographic Operators";
    5 32 573, "ER", "BUILTIN\\Event Log Readers";
    5 32 574, "CD", "BUILTIN\\Certificate Service DCOM Access";
    5 32 575, "RA", "BUILTIN\\RDS Remote Access Servers";
    5 32 576, "ES", "BUILTIN\\RDS Endpoint Servers";
    5 32 577, "MS", "BUILTIN\\RDS Management Servers";
    5 32 578, "HA", "BUILTIN\\Hyper-V Administrators";
    5 32 579, "AA", "BUILTIN\\Access Control Assistance Operators";
    5 32 580, "RM", "BUILTIN\\Remote Management Users";
    5 32 582, _, "BUILTIN\\Storage Replica Administrators";
    5 33, "WR", "NT AUTHORITY\\WRITE RESTRICTED";
    5 64 10, _, "NT AUTHORITY\\NTLM Authentication";
    5 64 14, _, "NT AUTHORITY\\SChannel Authentication";
    5 64 21, _, "NT AUTHORITY\\Digest Authentication";
    5 80 0, _, "NT SERVICE\\ALL SERVICES";
    5 80 956008885 3418522649 1831038044 1853292631 2271478464, _, "NT SERVICE\\TrustedInstaller";
    5 83 0, _, "NT VIRTUAL MACHINE\\Virtual Machines";
    5 84 0 0 0 0 0, "UD", "NT AUTHORITY\\USER MODE DRIVERS";
    5 90 0, _, "Window Manager\\Window Manager Group";
    5 113, _, "NT AUTHORITY\\Local account";
    5 114, _, "NT AUTHORITY\\Local account and member of Administrators group";
    5 1000, _, "NT AUTHORITY\\Other Organization";
    15 2 1, "AC", "APPLICATION PACKAGE AUTHORITY\\ALL APPLICATION PACKAGES";
    15 2 2, _, "APPLICATION PACKAGE AUTHORITY\\ALL RESTRICTED APPLICATION PACKAGES";
    16 0, _, "Mandatory Label\\Untrusted Mandatory Level";
    16 4096, "LW", "Mandatory Label\\Low Mandatory Level";
    16 8192, "ME", "Mandatory Label\\Medium Mandatory Level";
    16 8448, "MP", "Mandatory Label\\Medium Plus Mandatory Level";
    16 12288, "HI", "Mandatory Label\\High Mandatory Level";
    16 16384, "SI", "Mandatory Label\\System Mandatory Level";
    16 20480, _, "Mandatory Label\\Protected Process Mandatory Level";
    16 28672, _, "Mandatory Label\\Secure Process Mandatory Level";
    18 1, "AS", "Authentication authority asserted identity";
    18 2, "SS", "Service asserted identity";
};

/// Aliases of SIDs relative to a domain, its root domain or a machine, and their RID.
const RELATIVE: &[(&str, u32)] = &[
    ("RO", 498),
    ("LA", 500),
    ("LG", 501),
    ("DA", 512),
    ("DU", 513),
    ("DG", 514),
    ("DC", 515),
    ("DD", 516),
    ("CA", 517),
    ("SA", 518),
    ("EA", 519),
    ("PA", 520),
    ("CN", 522),
    ("AP", 525),
    ("KA", 526),
    ("EK", 527),
    ("RS", 553),
];
