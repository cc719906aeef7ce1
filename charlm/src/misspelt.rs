//! Misspellings that people make by habit: so common that every corpus has them, and that counting takes for words.

/// P(typed like this | the word was meant): those who write it so mostly do not know better.
pub(crate) const HABIT: f32 = 0.02;

/// Whether a surface is one of some 400 common misspellings of English, in small letters: `Grammer` and `ADN` may be names.
///
/// Nobody wants to be offered one, however often it was written.
///
/// ```
/// use foretype_charlm::is_misspelt;
/// assert!(is_misspelt(" recieve") && is_misspelt("teh"));
/// assert!(!is_misspelt(" receive") && !is_misspelt(" Teh") && !is_misspelt(" reciev"));
/// ```
pub fn is_misspelt(surface: &str) -> bool {
    let letters = surface.strip_prefix(' ').unwrap_or(surface);
    letters.starts_with(|c: char| c.is_ascii_lowercase()) && meant(letters).is_some()
}

/// The word that is meant by one of the misspellings, which may begin with a capital.
pub(crate) fn meant(letters: &str) -> Option<&'static str> {
    let small = |letter: u8| letter.to_ascii_lowercase();
    if letters.bytes().skip(1).any(|letter| letter.is_ascii_uppercase()) {
        return None;
    }
    let found = HABITS.binary_search_by(|(misspelt, _)| misspelt.bytes().cmp(letters.bytes().map(small)));
    found.ok().map(|at| HABITS[at].1)
}

/// In order of the misspellings.
#[rustfmt::skip]
static HABITS: &[(&str, &str)] = &[
    ("abscence", "absence"), ("absense", "absence"), ("acceptible", "acceptable"), ("accomodate", "accommodate"),
    ("accomodation", "accommodation"), ("accross", "across"), ("acheive", "achieve"), ("acheived", "achieved"),
    ("acknowlege", "acknowledge"), ("acknowlegement", "acknowledgement"), ("acomodate", "accommodate"),
    ("acount", "account"), ("acquaintence", "acquaintance"), ("acqure", "acquire"), ("adress", "address"),
    ("adresses", "addresses"), ("adviseable", "advisable"), ("agian", "again"), ("agressive", "aggressive"),
    ("ahve", "have"), ("allready", "already"), ("alltogether", "altogether"), ("alwasy", "always"),
    ("amatuer", "amateur"), ("ammount", "amount"), ("anual", "annual"), ("apparant", "apparent"),
    ("appearence", "appearance"), ("appologies", "apologies"), ("appologize", "apologize"),
    ("appropiate", "appropriate"), ("aproach", "approach"), ("aquire", "acquire"), ("arguement", "argument"),
    ("assesment", "assessment"), ("assistence", "assistance"), ("attatch", "attach"), ("attatched", "attached"),
    ("attatchment", "attachment"), ("availabe", "available"), ("availible", "available"),
    ("avaliable", "available"), ("bankrupcy", "bankruptcy"), ("basicly", "basically"), ("beacuse", "because"),
    ("becasue", "because"), ("becomming", "becoming"), ("becuase", "because"), ("befor", "before"),
    ("begining", "beginning"), ("beleive", "believe"), ("beleived", "believed"), ("belive", "believe"),
    ("benificial", "beneficial"), ("benifit", "benefit"), ("bizzare", "bizarre"), ("buisness", "business"),
    ("bussiness", "business"), ("calender", "calendar"), ("catagory", "category"), ("changable", "changeable"),
    ("charachter", "character"), ("cheif", "chief"), ("collegue", "colleague"), ("collegues", "colleagues"),
    ("comittee", "committee"), ("commited", "committed"), ("commitee", "committee"), ("committment", "commitment"),
    ("comparision", "comparison"), ("compatability", "compatibility"), ("competant", "competent"),
    ("completly", "completely"), ("concensus", "consensus"), ("concious", "conscious"), ("conected", "connected"),
    ("confortable", "comfortable"), ("congradulations", "congratulations"), ("consistant", "consistent"),
    ("continous", "continuous"), ("controled", "controlled"), ("contructive", "constructive"),
    ("convienient", "convenient"), ("convinient", "convenient"), ("correspondance", "correspondence"),
    ("coudl", "could"), ("critisism", "criticism"), ("curiousity", "curiosity"), ("custumer", "customer"),
    ("decison", "decision"), ("definate", "definite"), ("definately", "definitely"), ("definatly", "definitely"),
    ("definitly", "definitely"), ("defintely", "definitely"), ("desparate", "desperate"),
    ("differant", "different"), ("diffrence", "difference"), ("diffrent", "different"), ("dilema", "dilemma"),
    ("dissapear", "disappear"), ("dissapoint", "disappoint"), ("dissapointed", "disappointed"),
    ("dissappointed", "disappointed"), ("documention", "documentation"), ("embarass", "embarrass"),
    ("embarassing", "embarrassing"), ("emmission", "emission"), ("enought", "enough"),
    ("enviroment", "environment"), ("enviromental", "environmental"), ("equiptment", "equipment"),
    ("equivelant", "equivalent"), ("esential", "essential"), ("especialy", "especially"),
    ("exagerate", "exaggerate"), ("excede", "exceed"), ("excellant", "excellent"), ("exellent", "excellent"),
    ("existance", "existence"), ("experiance", "experience"), ("explaination", "explanation"),
    ("explination", "explanation"), ("facilites", "facilities"), ("familar", "familiar"), ("feasable", "feasible"),
    ("febuary", "February"), ("finacial", "financial"), ("finaly", "finally"), ("finanical", "financial"),
    ("foriegn", "foreign"), ("forwad", "forward"), ("fourty", "forty"), ("foward", "forward"), ("freind", "friend"),
    ("freinds", "friends"), ("futher", "further"), ("garantee", "guarantee"), ("gaurantee", "guarantee"),
    ("gaurd", "guard"), ("generaly", "generally"), ("goverment", "government"), ("grammer", "grammar"),
    ("greatful", "grateful"), ("guarentee", "guarantee"), ("guidence", "guidance"), ("happend", "happened"),
    ("happenned", "happened"), ("harrass", "harass"), ("heigth", "height"), ("heirarchy", "hierarchy"),
    ("hlep", "help"), ("hte", "the"), ("hvae", "have"), ("hygeine", "hygiene"), ("identicle", "identical"),
    ("imediately", "immediately"), ("immediatley", "immediately"), ("immediatly", "immediately"),
    ("importent", "important"), ("inconvience", "inconvenience"), ("inconvinience", "inconvenience"),
    ("incovenience", "inconvenience"), ("independant", "independent"), ("infomation", "information"),
    ("informtion", "information"), ("inital", "initial"), ("initalize", "initialize"), ("interupt", "interrupt"),
    ("intial", "initial"), ("intially", "initially"), ("intrest", "interest"), ("intrested", "interested"),
    ("investement", "investment"), ("irrelevent", "irrelevant"), ("isue", "issue"), ("jsut", "just"),
    ("knowlegde", "knowledge"), ("knowlege", "knowledge"), ("knwo", "know"), ("konw", "know"),
    ("langauge", "language"), ("lenght", "length"), ("liason", "liaison"), ("libary", "library"), ("liek", "like"),
    ("maintainance", "maintenance"), ("maintenence", "maintenance"), ("managable", "manageable"),
    ("managment", "management"), ("medecine", "medicine"), ("miscelaneous", "miscellaneous"),
    ("mispell", "misspell"), ("mispelled", "misspelled"), ("morgage", "mortgage"), ("mortage", "mortgage"),
    ("neccesary", "necessary"), ("neccessary", "necessary"), ("necesary", "necessary"), ("necessery", "necessary"),
    ("negociate", "negotiate"), ("negotation", "negotiation"), ("nieghbor", "neighbor"), ("nineth", "ninth"),
    ("ninty", "ninety"), ("noticable", "noticeable"), ("noticably", "noticeably"), ("ocasion", "occasion"),
    ("occasionaly", "occasionally"), ("occassion", "occasion"), ("occassionally", "occasionally"),
    ("occurance", "occurrence"), ("occured", "occurred"), ("occurence", "occurrence"), ("occuring", "occurring"),
    ("ocurred", "occurred"), ("offical", "official"), ("omision", "omission"), ("oportunity", "opportunity"),
    ("oppertunity", "opportunity"), ("oppurtunity", "opportunity"), ("orginal", "original"),
    ("orignal", "original"), ("outragous", "outrageous"), ("paralel", "parallel"), ("parrallel", "parallel"),
    ("particulary", "particularly"), ("peice", "piece"), ("percieve", "perceive"), ("performence", "performance"),
    ("permanant", "permanent"), ("perminent", "permanent"), ("persistant", "persistent"),
    ("personaly", "personally"), ("personel", "personnel"), ("pleae", "please"), ("plese", "please"),
    ("posession", "possession"), ("posible", "possible"), ("possesion", "possession"),
    ("practicaly", "practically"), ("prefered", "preferred"), ("prefering", "preferring"),
    ("prescence", "presence"), ("privelege", "privilege"), ("priviledge", "privilege"), ("probally", "probably"),
    ("probaly", "probably"), ("problably", "probably"), ("proccess", "process"),
    ("professionaly", "professionally"), ("proffesional", "professional"), ("pronounciation", "pronunciation"),
    ("quaterly", "quarterly"), ("questionaire", "questionnaire"), ("queston", "question"), ("realy", "really"),
    ("reccomend", "recommend"), ("reccommend", "recommend"), ("reciept", "receipt"), ("reciepts", "receipts"),
    ("recieve", "receive"), ("recieved", "received"), ("recieves", "receives"), ("recieving", "receiving"),
    ("recive", "receive"), ("recived", "received"), ("recomend", "recommend"), ("recomended", "recommended"),
    ("recommed", "recommend"), ("referal", "referral"), ("refered", "referred"), ("refering", "referring"),
    ("refference", "reference"), ("relevent", "relevant"), ("religous", "religious"), ("remeber", "remember"),
    ("reminescent", "reminiscent"), ("repitition", "repetition"), ("reponse", "response"),
    ("resistence", "resistance"), ("resouces", "resources"), ("responce", "response"),
    ("responsability", "responsibility"), ("responsable", "responsible"), ("restaraunt", "restaurant"),
    ("restaurent", "restaurant"), ("resturant", "restaurant"), ("reveiw", "review"), ("reveiwed", "reviewed"),
    ("rythm", "rhythm"), ("saterday", "Saturday"), ("scedule", "schedule"), ("schedual", "schedule"),
    ("seige", "siege"), ("sentance", "sentence"), ("seperate", "separate"), ("seperated", "separated"),
    ("seperately", "separately"), ("seperation", "separation"), ("shedule", "schedule"), ("shoudl", "should"),
    ("sieze", "seize"), ("similarily", "similarly"), ("similiar", "similar"), ("simultanous", "simultaneous"),
    ("sincerley", "sincerely"), ("sincerly", "sincerely"), ("soem", "some"), ("someting", "something"),
    ("somthing", "something"), ("speach", "speech"), ("specificly", "specifically"), ("statment", "statement"),
    ("statments", "statements"), ("stregth", "strength"), ("strenght", "strength"), ("succede", "succeed"),
    ("succesful", "successful"), ("succesfully", "successfully"), ("successfull", "successful"),
    ("sucess", "success"), ("sucessful", "successful"), ("sumbit", "submit"), ("suport", "support"),
    ("supress", "suppress"), ("suprise", "surprise"), ("suprised", "surprised"), ("surveilance", "surveillance"),
    ("taht", "that"), ("techincal", "technical"), ("tecnical", "technical"), ("teh", "the"),
    ("temperture", "temperature"), ("temporarly", "temporarily"), ("tendancy", "tendency"), ("thansk", "thanks"),
    ("theif", "thief"), ("thier", "their"), ("thnaks", "thanks"), ("thorougly", "thoroughly"),
    ("threshhold", "threshold"), ("thrusday", "Thursday"), ("thsi", "this"), ("thta", "that"), ("tihs", "this"),
    ("tommorow", "tomorrow"), ("tommorrow", "tomorrow"), ("tomorow", "tomorrow"), ("tounge", "tongue"),
    ("transfered", "transferred"), ("transfering", "transferring"), ("truely", "truly"), ("tryed", "tried"),
    ("tuseday", "Tuesday"), ("twelth", "twelfth"), ("tyrany", "tyranny"), ("unecessary", "unnecessary"),
    ("unforseen", "unforeseen"), ("unfortunatley", "unfortunately"), ("unfortunatly", "unfortunately"),
    ("unneccessary", "unnecessary"), ("untill", "until"), ("updaet", "update"), ("usally", "usually"),
    ("usefull", "useful"), ("usualy", "usually"), ("vaccum", "vacuum"), ("vaccuum", "vacuum"),
    ("valueable", "valuable"), ("vehical", "vehicle"), ("verison", "version"), ("visable", "visible"),
    ("volontary", "voluntary"), ("volumne", "volume"), ("waht", "what"), ("waranty", "warranty"),
    ("warrenty", "warranty"), ("wendsday", "Wednesday"), ("wensday", "Wednesday"), ("whcih", "which"),
    ("whihc", "which"), ("wich", "which"), ("widnow", "window"), ("wierd", "weird"), ("wiht", "with"),
    ("withold", "withhold"), ("wnat", "want"), ("woudl", "would"), ("writen", "written"), ("writting", "writing"),
    ("wroking", "working"), ("wtih", "with"), ("yeild", "yield"), ("yoru", "your"), ("yuo", "you"),
];

#[cfg(test)]
mod tests {
    use super::{HABITS, meant};

    #[test]
    fn they_are_in_order_and_none_is_meant_by_another() {
        assert!(HABITS.windows(2).all(|two| two[0].0 < two[1].0));
        let small = |word: &str| word.len() >= 3 && word.chars().all(|c| c.is_ascii_lowercase());
        for (misspelt, word) in HABITS {
            assert!(small(misspelt) && small(&word.to_lowercase()), "{misspelt} {word}");
            assert_eq!(meant(word), None, "{word} is meant by {misspelt}");
        }
    }

    #[test]
    fn whole_words_are_found() {
        assert_eq!(meant("recieve"), Some("receive"));
        assert_eq!(meant("teh"), Some("the"));
        assert_eq!(meant("reciev"), None);
        assert_eq!(meant("Recieve"), Some("receive"));
        assert_eq!((meant("RECIEVE"), meant("reCieve")), (None, None), "who knows what that is");
    }
}
