//! The types of ACEs, their layouts and their names in SDDL.
//!
//! | layout | what follows the 4 bytes of the header |
//! | --- | --- |
//! | [`Layout::Simple`] | Mask (4), Sid |
//! | [`Layout::Object`] | Mask (4), Flags (4), ObjectType (16 if flag 1), InheritedObjectType (16 if flag 2), Sid |
//! | [`Layout::Callback`] | Mask (4), Sid, ApplicationData |
//! | [`Layout::CallbackObject`] | as Object, then ApplicationData |
//! | [`Layout::ResourceAttribute`] | Mask (4), Sid, AttributeData |
//! | [`Layout::Opaque`] | not known |
//!
//! Source: `ACE_HEADER`, \[MS-DTYP\] 2.4.4.1, and 2.4.4.2 to 2.4.4.16; 0x14, 0x15 and the layouts of the types that
//! \[MS-DTYP\] calls reserved are those of `winnt.h`.

/// How the body of an ACE is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// An access mask and a SID.
    Simple,
    /// An access mask, up to two GUIDs and a SID.
    Object,
    /// An access mask, a SID and application data, which may be a conditional expression.
    Callback,
    /// An access mask, up to two GUIDs, a SID and application data.
    CallbackObject,
    /// An access mask, a SID and a `CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1`.
    ResourceAttribute,
    /// Bytes that are passed through.
    Opaque,
}

macro_rules! ace_types {
    ($($name:ident = $code:literal, $constant:literal, $layout:ident, $sddl:tt;)*) => {
        /// The type of an ACE.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AceType {
            $(#[doc = concat!("`", $constant, "` (", stringify!($code), ").")] $name,)*
            /// A type that ntbak does not know; such an ACE is passed through.
            Unknown(u8),
        }

        impl AceType {
            /// The number in the AceType field.
            #[must_use]
            pub fn code(self) -> u8 {
                match self { $(Self::$name => $code,)* Self::Unknown(code) => code }
            }

            /// How the body of such an ACE is laid out.
            #[must_use]
            pub fn layout(self) -> Layout {
                match self { $(Self::$name => Layout::$layout,)* Self::Unknown(_) => Layout::Opaque }
            }

            /// What SDDL calls the type (\[MS-DTYP\] 2.5.1.1 and `sddl.h`); `None` for one that SDDL cannot express.
            #[must_use]
            pub fn sddl(self) -> Option<&'static str> {
                match self { $(Self::$name => ace_types!(@sddl $sddl),)* Self::Unknown(_) => None }
            }

            /// The type that SDDL calls `name`, in upper or lower case.
            pub(super) fn from_sddl(name: &str) -> Option<Self> {
                [$(Self::$name),*]
                    .into_iter()
                    .find(|kind| kind.sddl().is_some_and(|sddl| sddl.eq_ignore_ascii_case(name)))
            }
        }

        impl From<u8> for AceType {
            fn from(code: u8) -> Self {
                match code { $($code => Self::$name,)* code => Self::Unknown(code) }
            }
        }
    };
    (@sddl _) => { None };
    (@sddl $sddl:literal) => { Some($sddl) };
}

ace_types! {
    AccessAllowed = 0x00, "ACCESS_ALLOWED_ACE_TYPE", Simple, "A";
    AccessDenied = 0x01, "ACCESS_DENIED_ACE_TYPE", Simple, "D";
    SystemAudit = 0x02, "SYSTEM_AUDIT_ACE_TYPE", Simple, "AU";
    SystemAlarm = 0x03, "SYSTEM_ALARM_ACE_TYPE", Simple, "AL";
    AccessAllowedCompound = 0x04, "ACCESS_ALLOWED_COMPOUND_ACE_TYPE", Opaque, _;
    AccessAllowedObject = 0x05, "ACCESS_ALLOWED_OBJECT_ACE_TYPE", Object, "OA";
    AccessDeniedObject = 0x06, "ACCESS_DENIED_OBJECT_ACE_TYPE", Object, "OD";
    SystemAuditObject = 0x07, "SYSTEM_AUDIT_OBJECT_ACE_TYPE", Object, "OU";
    SystemAlarmObject = 0x08, "SYSTEM_ALARM_OBJECT_ACE_TYPE", Object, "OL";
    AccessAllowedCallback = 0x09, "ACCESS_ALLOWED_CALLBACK_ACE_TYPE", Callback, "XA";
    AccessDeniedCallback = 0x0A, "ACCESS_DENIED_CALLBACK_ACE_TYPE", Callback, "XD";
    AccessAllowedCallbackObject = 0x0B, "ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE", CallbackObject, "ZA";
    AccessDeniedCallbackObject = 0x0C, "ACCESS_DENIED_CALLBACK_OBJECT_ACE_TYPE", CallbackObject, _;
    SystemAuditCallback = 0x0D, "SYSTEM_AUDIT_CALLBACK_ACE_TYPE", Callback, "XU";
    SystemAlarmCallback = 0x0E, "SYSTEM_ALARM_CALLBACK_ACE_TYPE", Callback, _;
    SystemAuditCallbackObject = 0x0F, "SYSTEM_AUDIT_CALLBACK_OBJECT_ACE_TYPE", CallbackObject, _;
    SystemAlarmCallbackObject = 0x10, "SYSTEM_ALARM_CALLBACK_OBJECT_ACE_TYPE", CallbackObject, _;
    SystemMandatoryLabel = 0x11, "SYSTEM_MANDATORY_LABEL_ACE_TYPE", Simple, "ML";
    SystemResourceAttribute = 0x12, "SYSTEM_RESOURCE_ATTRIBUTE_ACE_TYPE", ResourceAttribute, "RA";
    SystemScopedPolicyId = 0x13, "SYSTEM_SCOPED_POLICY_ID_ACE_TYPE", Simple, "SP";
    SystemProcessTrustLabel = 0x14, "SYSTEM_PROCESS_TRUST_LABEL_ACE_TYPE", Simple, "TL";
    SystemAccessFilter = 0x15, "SYSTEM_ACCESS_FILTER_ACE_TYPE", Callback, "FL";
}

impl AceType {
    /// Whether the type has the fields for GUIDs; an ACL that holds one has revision 4.
    #[must_use]
    pub fn is_object(self) -> bool {
        matches!(self.layout(), Layout::Object | Layout::CallbackObject)
    }
}
